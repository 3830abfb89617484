"""A training whose numbers went bad goes back and on, if that is asked for."""

from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, metrics, train_command, write_corpus
from torch import Tensor

from hardpp.runs import trainer as trainers
from hardpp.runs.checkpoint import newest_sound
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimisation import Schedule
from hardpp.runs.trainer import Trainer

ROLLBACK = ("--set", "training.on_nonfinite=rollback", "--checkpoint-every", "2")


@pytest.fixture
def bad_step(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Makes step 6 of a training go bad for as long as the learning rate is what it was."""
    rates: list[float] = []
    accept, update = NonFiniteGuard.accept, Trainer._update

    def noted(trainer: Trainer, make: Any) -> Any:
        rates.append(trainer.rollbacks)
        return update(trainer, make)

    def bad(guard: NonFiniteGuard, step: int, batch: Any, number: Tensor) -> bool:
        return accept(guard, step, batch, number * float("nan") if step == 6 and not rates[-1] else number)

    monkeypatch.setattr(trainers.Trainer, "_update", noted)
    monkeypatch.setattr(NonFiniteGuard, "accept", bad)
    return rates


def test_a_training_goes_back_and_on(tmp_path: Path, bad_step: list[float]) -> None:
    command = train_command(write_corpus(tmp_path / "words"), tmp_path / "run", *ROLLBACK)
    result = hardpp(*command)
    assert result.exit_code == 0
    assert "at step 6; goes back to step 5, at half the learning rate" in result.stderr.replace("\n", " ")
    assert bad_step == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]  # step 6 is taken twice
    steps = [record["step"] for record in metrics(tmp_path / "run") if record["split"] == "train"]
    assert steps == [2, 4, 6, 8, 10]
    saved = newest_sound(tmp_path / "run")
    assert saved is not None
    assert saved.checkpoint.state["rollbacks"] == 1
    rates = [record["learning_rate"] for record in metrics(tmp_path / "run") if record["split"] == "train"]
    assert rates[2] < 0.6 * rates[1]


def test_without_it_a_training_ends(tmp_path: Path, bad_step: list[float]) -> None:
    data = write_corpus(tmp_path / "words")
    assert "at step 6" in fail(5, *train_command(data, tmp_path / "run", "--checkpoint-every", "2"))


def test_it_goes_back_three_times_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "rate", lambda schedule, step: 1e20)
    data = write_corpus(tmp_path / "words")
    told = fail(5, *train_command(data, tmp_path / "run", *ROLLBACK, "--checkpoint-every", "1"))
    assert told.count("goes back to step") in range(4)
    assert "hint: lower optimiser.learning_rate" in told


def test_weights_that_went_bad_are_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "rate", lambda schedule, step: 1e39)  # beyond single precision
    data, skip = write_corpus(tmp_path / "words"), ("--set", "training.on_nonfinite=skip")
    told = fail(5, *train_command(data, tmp_path / "run", *skip))
    assert told.count("left out: ") <= 3
