"""`hardpp check` on the command line: rows, exit codes, styles."""

import json

import pytest
from corpora import hardpp

from hardpp.tasks.doctor.findings import Check, Finding, Skip, examine, faults

SOUND = [Finding("sites", "ok", "all there"), Finding("bound", "skipped", "no sum")]
UNSOUND = [Finding("sites", "failed", "one 'missing'"), Finding("sites", "failed", "one more"), *SOUND[1:]]


@pytest.mark.parametrize("verb", ["guide", "objective", "model"])
def test_rows_and_exit_codes(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for found, code, told in (
        (SOUND, 0, "2 checks: 0 failed, 1 skipped"),
        (UNSOUND, 2, "2 checks: 1 failed"),
    ):
        monkeypatch.setattr(f"hardpp.tasks.doctor.{verb}.check_{verb}", lambda *given, found=found: found)
        plain = hardpp("check", verb, "x")
        assert plain.exit_code == code
        assert told in plain.stderr
        assert plain.stdout.splitlines()[0].split() == ["check", "status", "finding"]
        rows = json.loads(hardpp("check", verb, "x", "--format", "json").stdout)
        assert rows == [finding._asdict() for finding in found]


def test_every_fault_is_told_and_what_follows_from_it_is_not() -> None:
    def broken(subject: int) -> list[str]:
        raise ValueError("no such\nthing")

    def silent(subject: int) -> list[str]:
        raise Skip("not of numbers")

    checks = [
        Check("one", "is one", lambda subject: [f"{subject} is not 1", f"{subject} is odd"]),
        Check("after one", "follows", lambda subject: pytest.fail("was asked"), ("one",)),
        Check("after that", "follows", lambda subject: pytest.fail("was asked"), ("after one",)),
        Check("two", "is two", broken),
        Check("three", "is a word", silent),
        Check("after three", "is a number", lambda subject: [], ("three",)),
    ]
    found = examine(3, checks)
    assert [(f.check, f.status) for f in found] == [
        ("one", "failed"),
        ("one", "failed"),
        ("after one", "skipped"),
        ("after that", "skipped"),
        ("two", "failed"),
        ("three", "skipped"),
        ("after three", "ok"),
    ]
    assert [f.finding for f in faults(found)] == ["3 is not 1", "3 is odd", "ValueError: no such thing"]
    assert found[2].finding == "means nothing before 'one' is in order"
