"""How much of the test part is evaluated after a training, and that everybody is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from corpora import hardpp, train_command

from hardpp.config import RunConfig, TrainingConfig
from hardpp.runs import evaluation
from hardpp.runs.evaluation import QUICK, Extent, extent_of


@pytest.mark.parametrize(
    ("asked", "steps", "items", "extent"),
    [
        ("auto", 3, 10_000, "quick"),
        ("auto", 2500, 10_000, "full"),  # of 4 data each: as many as the test part has
        ("auto", 2499, 10_000, "quick"),
        ("auto", 3, QUICK, "full"),  # there is nothing to be left out
        ("quick", 9999, 10_000, "quick"),
        ("quick", 1, QUICK, "full"),
        ("full", 1, 10_000, "full"),
        ("none", 9999, 10, "none"),
    ],
)
def test_a_quick_training_is_evaluated_quickly(asked: Extent, steps: int, items: int, extent: Extent) -> None:
    assert extent_of(asked, RunConfig(training=TrainingConfig(batch_size=4)), steps, items) == extent


def summary(run: Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return contents


def test_figures_say_how_many_items_they_are_of(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "QUICK", 3)
    command = train_command(corpus, tmp_path / "run", "--max-steps", "1")
    result = hardpp(*command)
    assert "the first 3 of 10 items of the test part, as the training is short" in result.stderr
    assert (summary(tmp_path / "run")["pairs"], summary(tmp_path / "run")["evaluation"]) == (3, "quick")
    full = hardpp(*command, "--evaluate", "full")  # of the run that is complete
    assert "evaluating the 10 items" in full.stderr
    assert (summary(tmp_path / "run")["pairs"], summary(tmp_path / "run")["evaluation"]) == (10, "full")
    none = hardpp(*command, "--evaluate", "none")
    assert (none.stdout, summary(tmp_path / "run")) == ("", {"evaluation": "none"})
    assert "evaluating" not in none.stderr
