"""The doctor of an installation finds what does not work."""

import json
from pathlib import Path

import pytest
from corpora import hardpp

from hardpp.inference.importance_weighted import VIMCO
from hardpp.tasks.doctor import installation


def found(words: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    result = hardpp("doctor", "--format", "json", *words)
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == (2 if any(row["state"] == "failed" for row in rows.values()) else 0)
    return rows


def test_a_sound_installation() -> None:
    rows = found()
    assert {"torch", "pyro-ppl", "device", "threads", "cores", "cache", "self-test of vimco"} <= rows.keys()
    assert not [row for row in rows.values() if row["state"] == "failed"]


def test_an_estimator_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    surrogate = VIMCO.surrogate

    def twice(objective: VIMCO, table: object) -> object:
        bound, value = surrogate(objective, table)  # type: ignore[arg-type]
        return bound, 2 * value

    monkeypatch.setattr(VIMCO, "surrogate", twice)
    monkeypatch.setattr(installation, "ESTIMATORS", ("elbo", "vimco"))
    rows = found()
    assert [rows[f"self-test of {name}"]["state"] for name in ("elbo", "vimco")] == ["ok", "failed"]


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation, "ESTIMATORS", ())
    monkeypatch.setattr(installation.os, "access", lambda path, mode: Path(path) != tmp_path)
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "not there yet"))
    rows = found()
    assert rows["cache"]["state"] == "failed"
    assert str(tmp_path) in rows["cache"]["value"]
    assert rows["working folder"]["state"] == "ok"
