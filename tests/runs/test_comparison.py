"""Runs are compared on the same items only, and the kind of likelihood is said."""

import json
import shutil
from pathlib import Path

import pytest
from corpora import fail, succeed, train_command

from hardpp.runs.comparison import compare_runs
from hardpp.runs.folder import open_run


@pytest.fixture(scope="module")
def other(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("other") / "run"
    succeed(*train_command(corpus, out, "--objective", "exact", "--guide", "prior", "--evaluate", "none"))
    return out


def test_runs_side_by_side(trained: Path, other: Path, tmp_path: Path) -> None:
    picture = tmp_path / "difference.png"
    rows = json.loads(succeed("compare", "runs", trained, other, "--format", "json", "--out", picture))
    runs = {str(folder): open_run(folder, "cpu") for folder in (trained, other)}
    assert {row["name"] for row in rows} == runs.keys()
    for row in rows:
        run = runs[row["name"]]
        items = run.select()
        assert (row["items"], row["kind"]) == (10, "exact")
        nll = run.evaluate(items)["nll"] * float(run.batch(items).symbols)
        assert row["elpd"] == pytest.approx(-nll, rel=1e-4)
        assert row["nats an item"] == pytest.approx(row["elpd"] / 10)
    assert rows[1]["elpd_diff"] == pytest.approx(rows[0]["elpd"] - rows[1]["elpd"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "exists already" in fail(2, "compare", "runs", trained, other, "--out", picture)
    told = fail(2, "compare", "runs", trained, other, "--checkpoint", "step-00000999")
    assert "step-00000999" in told


def test_kinds_that_differ_are_said(trained: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    runs = [open_run(folder, "cpu") for folder in (trained, other)]
    compare_runs(runs, limit=3, report=said.append)
    assert not any("not of one kind" in line for line in said)
    soft = runs[1].objective
    monkeypatch.setattr(soft, "prediction", "expected")
    rows = compare_runs(runs, limit=3, report=said.append)
    assert {row["kind"] for row in rows} == {"exact", "expected latents"}
    assert "not of one kind" in said[-1]


def test_other_items_are_refused(trained: Path, corpus: Path, tmp_path: Path) -> None:
    assert "two runs at least" in fail(2, "compare", "runs", trained)
    changed = Path(shutil.copytree(corpus, tmp_path / "changed"))
    lines = (changed / "test.tsv").read_text().splitlines()
    (changed / "test.tsv").write_text("\n".join([*lines[:-1], "ab\tB AH"]) + "\n")
    (changed / "dev.tsv").write_text("ab\tAH B\n")
    run = tmp_path / "run"
    succeed(*train_command(changed, run, "--max-steps", "1", "--evaluate", "none"))
    assert "1 of 10 items are not the same, the first is item 9" in fail(2, "compare", "runs", trained, run)
    assert "10 and 1 items" in fail(2, "compare", "runs", trained, run, "--part", "dev")
    succeed("compare", "runs", trained, run, "--limit", "9")
    # The same texts are other numbers for a run with another vocabulary.
    (changed / "train.tsv").write_text("".join(f"{letter}\tX\n" for letter in "fghijabcde" * 4))
    succeed(*train_command(changed, tmp_path / "x", "--max-steps", "1", "--evaluate", "none"))
    assert "items" in fail(2, "compare", "runs", trained, tmp_path / "x")
