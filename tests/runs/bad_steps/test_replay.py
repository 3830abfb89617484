"""A step whose numbers went bad is kept, and shown again to the bit."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, metrics, train_command, write_corpus
from torch import Tensor

import hardpp as package
from hardpp.errors import ResourceError
from hardpp.runs import checkpoint, optimisation
from hardpp.runs import trainer as trainers
from hardpp.runs.bad_steps import bad_batch
from hardpp.runs.bad_steps.replayed_step import Replay
from hardpp.runs.optimisation import Schedule

NOISE = ("--set", "training.weight_noise=1000")
HUGE = 1e22  # times as much, beyond what settings allow
SKIP = ("--set", "training.on_nonfinite=skip")
ROLLBACK = ("--set", "training.on_nonfinite=rollback", "--checkpoint-every", "1")


@pytest.fixture(autouse=True, scope="module")
def huge() -> Iterator[None]:
    """Noise that makes some numbers overflow, and others not."""

    def noise(parameters: Sequence[Tensor], deviation: float) -> AbstractContextManager[None]:
        return optimisation.weight_noise(parameters, HUGE * deviation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers, "weight_noise", noise)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def noisy(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that leaves out the steps whose noise is too much, the last of which is kept."""
    run = tmp_path_factory.mktemp("runs") / "noisy"
    command = train_command(corpus, run, *NOISE, *SKIP, "--evaluate", "none", "--threads", "1")
    assert hardpp(*command).exit_code == 0
    return run


def kept_by(run: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((run / "bad_batch.json").read_text())
    return kept


def changed(run: Path, folder: Path, **keys: Any) -> Path:
    """A copy of a run whose bad_batch.json says otherwise."""
    copy = folder / "copy"
    shutil.copytree(run, copy)
    (copy / "bad_batch.json").write_text(json.dumps({**kept_by(run), **keys}))
    return copy


def same_as_kept(found: Replay) -> bool:
    return (str(found.loss), str(found.gradient_norm)) == (found.kept.loss, found.kept.gradient_norm)


def test_a_step_that_was_left_out_is_shown_again(noisy: Path) -> None:
    kept = kept_by(noisy)
    assert kept["begins_at"] == 5  # the checkpoint before it, of the first epoch's end
    assert checkpoint.marked(noisy, "bad").name == "step-00000005"
    before = sorted(path.stat().st_mtime_ns for path in noisy.rglob("*"))
    found = package.replay(noisy)
    assert sorted(path.stat().st_mtime_ns for path in noisy.rglob("*")) == before  # nothing is written
    assert (found.shown, found.step, found.items) == (True, kept["step"], kept["items"])
    assert same_as_kept(found)
    assert found.faults[0].kind == "gradient"  # of what the noise made too steep; all before it is finite


def test_it_is_told_in_words_and_as_json(noisy: Path) -> None:
    told = hardpp("replay", noisy / "bad_batch.json")
    step, loss, first, *_ = told.stdout.splitlines()
    assert told.exit_code == 0
    assert step.startswith(f"step {kept_by(noisy)['step']} (epoch 1, batch ")
    assert loss.startswith("loss ")
    assert loss.endswith("of its gradient nan")
    assert first.startswith("first: the gradient of what the network ")
    whole = json.loads(hardpp("replay", noisy, "--json").stdout)
    assert (whole["shown"], whole["gradient_norm"]) == (True, "nan")
    assert first == f"first: {whole['first']['sentence']}"


def test_a_run_that_ended_is_shown_from_its_seed(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told = fail(5, *train_command(corpus, run, *NOISE, "--threads", "1")).replace("\n", " ")
    assert f"what went bad first: hardpp replay {run}/bad_batch.json" in told
    assert kept_by(run)["begins_at"] is None
    found = package.replay(run / "bad_batch.json")
    assert found.shown
    assert same_as_kept(found)
    assert hardpp(*train_command(corpus, run, "--force", "--evaluate", "none")).exit_code == 0
    assert not (run / "bad_batch.json").exists()  # of another run
    assert "no step of it was seen to go bad" in fail(4, "replay", run)


def test_draws_after_going_back_are_shown_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The gradient of a step with all of its noise is made infinite, and its loss stays what the draws give.
    @contextmanager
    def noise(parameters: Sequence[Tensor], deviation: float) -> Iterator[None]:
        hook = parameters[0].register_hook(lambda gradient: gradient + (math.inf if deviation == 0.5 else 0))
        with optimisation.weight_noise(parameters, 1e-3 * deviation):
            yield
        hook.remove()

    monkeypatch.setattr(trainers, "weight_noise", noise)
    run, growing = tmp_path / "run", ("--set", "training.weight_noise_steps=4")
    noisy = ("--set", "training.weight_noise=0.5", *growing, "--set", "training.log_every=1")
    fail(5, *train_command(corpus, run, *ROLLBACK, *noisy, "--threads", "1"))
    assert kept_by(run)["rollbacks"] > 0
    found = package.replay(run)
    assert found.shown
    assert same_as_kept(found)
    assert not same_as_kept(package.replay(changed(run, tmp_path, rollbacks=0)))  # the draws before


def test_weights_that_a_step_ruined_are_named_by_that_step(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No loss shows what the last step of an epoch did before the dev bound does.
    monkeypatch.setattr(Schedule, "rate", lambda schedule, step: math.inf if step == 4 else 1e-3)
    fail(5, *train_command(corpus, tmp_path / "run", "--threads", "1"))
    kept = kept_by(tmp_path / "run")
    assert (kept["by_then"], kept["loss"], kept["item"]) == (True, None, None)
    found = package.replay(tmp_path / "run")
    assert found.step < kept["step"]
    assert "after the step: " in found.faults[0].sentence


def test_a_stage_is_shown_from_its_beginning(corpus: Path, tmp_path: Path) -> None:
    run, then = tmp_path / "run", "vimco training.weight_noise=1000 training.max_epochs=1"
    fail(5, *train_command(corpus, run, "--max-epochs", "1", "--then", then, "--threads", "1"))
    kept = kept_by(run)
    assert (kept["stage"], kept["before"], kept["begins_at"]) == (1, 5, None)
    found = package.replay(run)
    assert (found.shown, found.step) == (True, 5 + kept["step"])
    assert same_as_kept(found)


def test_a_step_that_is_finite_here_ends_in_another_code(noisy: Path, tmp_path: Path) -> None:
    left_out = {line["step"] for line in metrics(noisy) if "skipped" in line}
    step = min({*range(1, 11)} - left_out)
    run = changed(noisy, tmp_path, step=step, begins_at=None, device="cuda")
    versions = json.loads((run / "versions.json").read_text())
    versions.pop("sha256", None)
    (run / "versions.json").write_text(json.dumps({**versions, "torch": "1.0"}))
    told = hardpp("replay", run, "--device", "cpu")
    assert told.exit_code == 1
    assert "is finite here (torch was 1.0, and is " in told.stdout
    assert "; it ran on cuda, and here on cpu)" in told.stdout
    assert "first: " not in told.stdout


@pytest.mark.parametrize(
    ("keys", "code", "told"),
    [
        ({"step": "six"}, 4, "is not what hardpp writes there (step: "),
        ({"threads": 0}, 4, "is not what hardpp writes there (threads: "),
        ({"code": "print()"}, 4, "is not what hardpp writes there (code: "),
        ({"stage": 1}, 4, "is not of the run in its folder"),
        ({"begins_at": 4}, 4, "step-00000004"),
        ({"processes": 2}, 2, "torchrun --standalone --nproc_per_node=2 -m hardpp replay"),
    ],
)
def test_what_is_not_kept_by_a_run_is_refused(
    keys: dict[str, Any], code: int, told: str, noisy: Path, tmp_path: Path
) -> None:
    assert told in fail(code, "replay", changed(noisy, tmp_path, **keys))


def test_other_data_are_refused(noisy: Path, tmp_path: Path) -> None:
    run = changed(noisy, tmp_path)
    description = json.loads((run / "data.json").read_text())
    description.pop("sha256")
    (run / "data.json").write_text(json.dumps({**description, "fingerprint": "another"}))
    assert "the data have changed" in fail(3, "replay", run)


def test_data_that_were_moved_are_given(noisy: Path, corpus: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(corpus, tmp_path / "moved")
    there, here = package.replay(noisy), package.replay(noisy, data=moved)
    assert (there.shown, there.faults) == (here.shown, here.faults)
    (moved / "dev.tsv").write_bytes((corpus / "test.tsv").read_bytes())
    assert "other data" in fail(3, "replay", noisy, "--data", moved)


def test_a_file_that_cannot_be_written_hides_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: dict[str, Any]) -> None:
        raise ResourceError("the disk is full")

    monkeypatch.setattr(bad_batch, "write_json", full)
    told = fail(5, *train_command(corpus, tmp_path / "run", *NOISE))
    assert "bad_batch.json could not be written (the disk is full)" in told
    assert "hardpp: the loss or its gradient stopped being finite" in told


def test_no_folder_no_replay(tmp_path: Path) -> None:
    assert fail(4, "replay", tmp_path / "nothing" / "bad_batch.json")
