"""A run that is stopped and gone on with is the run that was never stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import TINY, fail, hashes, metrics, succeed, train_command

from hardpp.errors import Interrupted, NumericalError
from hardpp.runs import checkpoint, training_stages
from hardpp.runs import trainer as trainers
from hardpp.runs.folder import create, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.runs.training import run_in_folder
from hardpp.tasks.configuration import resolve
from hardpp.types import Record

Stop = Callable[[], bool]
ELBO: dict[str, Any] = {"objective": "elbo", "network": {**TINY["network"], "dropout": 0.4}}
EXACT: dict[str, Any] = {"objective": "exact", "network": {**TINY["network"], "dropout": 0.3}}


class Killed(BaseException):
    """Stands for the end of the process, wherever it is."""


def resolved(corpus: Path, *more: dict[str, Any]) -> Any:
    return resolve([TINY, {"data": {"name": str(corpus)}, "device": "cpu"}, *more])


def silent(text: str) -> None:
    pass


def never() -> bool:
    return False


def once_at(step: int) -> Stop:
    """True after so many steps, as asked once a step."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) == step


def leg(config: Any, folder: Path, stop: Stop = never, watch: Callable[[Record], None] | None = None) -> None:
    """One process's share of a run: begins it, or goes on from the newest checkpoint."""
    session = Session(config, silent)
    trainer = session.trainer()
    newest = checkpoint.newest_sound(folder, print)
    if newest is None:
        create(folder, config, session.description)
    else:
        trainer.restore(newest.checkpoint)
    train(session, trainer, folder, stop=stop, watch=watch or (lambda record: None), report=print)


def best(folder: Path) -> str:
    return (folder / "checkpoints" / "best").read_text()


def assert_equal_runs(left: Path, right: Path) -> None:
    assert hashes(left) == hashes(right)
    assert metrics(left) == metrics(right)
    assert best(left) == best(right)


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    runs = {}
    for name, tables in (("elbo", ELBO), ("exact", EXACT)):
        runs[name] = tmp_path_factory.mktemp(name) / "run"
        leg(resolved(corpus, tables), runs[name])
    return runs


@pytest.mark.parametrize("tables", [ELBO, EXACT], ids=["elbo", "exact"])
@pytest.mark.parametrize("stops", [[3], [5], [1, 1, 2], [7], [10]], ids=str)
def test_stopped_between_any_two_steps(
    tables: dict[str, Any], stops: list[int], corpus: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    # 5 batches an epoch, 2 epochs: 3 lies within an epoch, 5 and 10 at an epoch's end before its look.
    config = resolved(corpus, tables)
    for step in stops:
        leg(config, tmp_path / "run", once_at(step))
    leg(config, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole[tables["objective"]])


@pytest.mark.parametrize("tables", [ELBO, EXACT], ids=["elbo", "exact"])
@pytest.mark.parametrize("look", [1, 2])
def test_killed_at_the_end_of_an_epoch(
    tables: dict[str, Any], look: int, corpus: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    config, seen = resolved(corpus, tables), []

    def kill(record: Record) -> None:
        seen.append(record.split)
        if seen.count("dev") == look:
            raise Killed

    with pytest.raises(Killed):
        leg(config, tmp_path / "run", watch=kill)
    leg(config, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole[tables["objective"]])


@pytest.mark.parametrize(
    ("when", "number", "every"),
    [(f"{when} saving", number, 4) for when in ("before", "while") for number in (1, 2, 3, 4)]
    + [("before marking", 1, 4), ("before marking", 2, 4)]
    + [("before saving", 2, 5), ("before saving", 4, 5)],  # at an epoch's end, between step and look
)
def test_killed_around_a_checkpoint(
    when: str, number: int, every: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(corpus, {**ELBO, "training": {**TINY["training"], "checkpoint_every": every}})
    leg(config, tmp_path / "whole")
    calls = {"save": 0, "mark": 0}
    save, mark = checkpoint.save, checkpoint.mark

    def killing_save(run: Path, step: int, saved: checkpoint.Checkpoint) -> Path:
        calls["save"] += 1
        if calls["save"] == number and when == "before saving":
            raise Killed
        if calls["save"] == number and when == "while saving":
            half = run / "checkpoints" / f"step-{step:08d}"
            half.mkdir(parents=True, exist_ok=True)
            (half / "model.safetensors").write_bytes(b"half")
            for name in ("MANIFEST.json", "optim.safetensors"):
                (half / name).unlink(missing_ok=True)
            raise Killed
        return save(run, step, saved)

    def killing_mark(run: Path, name: str, folder: Path) -> None:
        if name == "best":
            calls["mark"] += 1
            if calls["mark"] == number and when == "before marking":
                raise Killed
        mark(run, name, folder)

    monkeypatch.setattr(training_stages.checkpoint, "save", killing_save)
    monkeypatch.setattr(training_stages.checkpoint, "mark", killing_mark)
    with pytest.raises(Killed):
        leg(config, tmp_path / "run")
    monkeypatch.undo()
    leg(config, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


def test_metrics_have_no_step_twice_and_survive_a_half_line(corpus: Path, tmp_path: Path) -> None:
    config = resolved(corpus, ELBO)
    leg(config, tmp_path / "whole")
    leg(config, tmp_path / "run", once_at(3))
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\n" + b"[" * 100_000 + b"\n")
        file.write(b'{"split": "train", "step": 4, "epoch": 0, "bound": -1.0}\n{"split": "dev", "st')
    leg(config, tmp_path / "run")
    found = metrics(tmp_path / "run")
    assert found == metrics(tmp_path / "whole")
    places = [(record["split"], record["step"]) for record in found]
    assert len(set(places)) == len(places)
    assert [step for split, step in places if split == "train"] == [2, 4, 6, 8, 10]


def test_old_checkpoints_go_but_the_best_and_the_newest_stay(corpus: Path, tmp_path: Path) -> None:
    tables = {**TINY["training"], "max_epochs": 6, "checkpoint_every": 1}
    config = resolved(corpus, {"training": tables, "optimiser": {"learning_rate": 0.5}})
    leg(config, tmp_path / "run")
    dev = [record for record in metrics(tmp_path / "run") if record["split"] == "dev"]
    top = max(record["bound"] for record in dev)
    step = next(record["step"] for record in dev if record["bound"] == top)
    assert best(tmp_path / "run").strip() == f"step-{step:08d}"
    kept = {path.name for path in checkpoint.complete(tmp_path / "run")}
    assert kept == {f"step-{step:08d}", "step-00000029", "step-00000030"}
    assert open_run(tmp_path / "run", "cpu").step == step


@pytest.mark.parametrize("objective", ["elbo", "exact"])  # one draws from what is no number, one does not
@pytest.mark.parametrize("step", [2, 7])
def test_numbers_gone_bad_end_in_5_with_the_checkpoints_intact(
    step: int, objective: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = trainers.Trainer._update

    def poisoned(self: trainers.Trainer, batch: Any) -> Any:
        if self.step == step - 1:
            for parameter in self.parameters:
                parameter.register_hook(lambda gradient: gradient * float("nan"))
        return update(self, batch)

    monkeypatch.setattr(trainers.Trainer, "_update", poisoned)
    more = ["--set", "training.log_every=3", "--objective", objective]
    command = train_command(corpus, tmp_path / "run", *more)
    assert f"stopped being finite at step {step}" in fail(5, *command)
    newest = checkpoint.newest_sound(tmp_path / "run")
    assert (newest.folder.name if newest else None) == (None if step == 2 else "step-00000005")
    if newest:
        assert all(value.isfinite().all() for value in newest.checkpoint.model.values())
    assert all(record["bound"] is not None for record in metrics(tmp_path / "run"))
    monkeypatch.undo()
    succeed(*command)


def test_the_logged_steps_are_where_it_is_noticed(corpus: Path, tmp_path: Path) -> None:
    training = {**TINY["training"], "log_every": 3}
    config = resolved(corpus, {"objective": "exact", "training": training})
    session = Session(config, silent)
    create(tmp_path / "run", config, session.description)
    trainer, shown = session.trainer(), []
    trainer.parameters[0].register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NumericalError, match="at step 1"):
        train(
            session,
            trainer,
            tmp_path / "run",
            stop=never,
            watch=lambda record: shown.append(record.step),
            report=print,
        )
    assert shown == [1, 2, 3]


def test_looking_and_saving_more_often_changes_no_weight(
    corpus: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    leg(resolved(corpus, {**ELBO, "training": {**TINY["training"], "checkpoint_every": 1}}), tmp_path / "run")
    assert hashes(tmp_path / "run") == hashes(whole["elbo"])


def test_looking_drops_nothing_out_and_needs_no_gradient(corpus: Path) -> None:
    session = Session(resolved(corpus, {**EXACT, "network": {**TINY["network"], "dropout": 0.9}}), silent)
    session.trainer().objective.train()
    assert session.dev_bound() == session.dev_bound()
    assert all(parameter.grad is None for program in session.programs for parameter in program.parameters())


def test_a_signal_at_the_last_step_is_heard(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(corpus)

    def ring(self: Any, record: Record) -> None:
        if record.split == "dev" and record.epoch == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(training_stages.TrainingProgress, "show", ring)
    with pytest.raises(Interrupted) as caught:
        run_in_folder(config, tmp_path / "run", resume=True, force=False, report=silent)
    assert caught.value.exit_code == 143
    assert not (tmp_path / "run" / "summary.json").exists()
    monkeypatch.undo()
    run_in_folder(config, tmp_path / "run", resume=True, force=False, report=silent)
    assert (tmp_path / "run" / "summary.json").is_file()


def test_a_warmup_that_was_cut_is_said(corpus: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for steps in (200, 2):
        config = resolved(corpus, {"optimiser": {"warmup_steps": steps}})
        run_in_folder(config, tmp_path / str(steps), resume=True, force=False, report=said.append)
    assert [line for line in said if "warm-up" in line] == [
        "10 steps in all, so warm-up takes 2 of them, not 200; "
        "a smaller training.batch_size or more training.max_epochs give more"
    ]


def test_of_a_warmup_that_was_cut_by_steps_epochs_are_not_to_blame(corpus: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = resolved(corpus, {"optimiser": {"warmup_steps": 200}, "training": {"max_steps": 5}})
    run_in_folder(config, tmp_path / "run", resume=True, force=False, report=said.append)
    (line,) = (line for line in said if "warm-up" in line)
    assert line.endswith("; more training.max_steps give more")


def test_a_finished_run_is_only_evaluated_again(corpus: Path, tmp_path: Path) -> None:
    command = train_command(corpus, tmp_path / "run")
    succeed(*command)
    before = hashes(tmp_path / "run"), (tmp_path / "run" / "metrics.jsonl").read_bytes()
    left = tmp_path / "run" / "checkpoints" / ".partial-0123"  # as a process leaves that is killed at its end
    left.mkdir()
    succeed(*command)
    assert (hashes(tmp_path / "run"), (tmp_path / "run" / "metrics.jsonl").read_bytes()) == before
    assert not left.exists()


LONG = ["--max-epochs", "24", "--checkpoint-every", "3", "--seed", "3"]


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("long") / "run"
    succeed(*train_command(corpus, run, *LONG))
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_real_process_stopped_by_a_signal_goes_on(
    number: int, code: int, corpus: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run, command = tmp_path / "run", train_command(corpus, tmp_path / "run", *LONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "hardpp", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for _ in range(6000):
        if (run / "checkpoints" / "latest").exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err.decode()
    assert out == b""
    assert b"Traceback" not in err
    if code > 0:
        assert b"the same command goes on from here" in err
    step = int(json.loads((run / "checkpoints" / hashes(run)["step"] / "state.json").read_text())["step"])
    assert 3 <= step < 120
    assert not (run / "summary.json").exists()
    succeed(*command)
    assert_equal_runs(run, uninterrupted)
