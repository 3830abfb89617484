"""What training promises for every model family: it goes on bit for bit, and does nothing twice."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import fail, hardpp, hashes, metrics, succeed
from tiny_families import FAMILIES, TinyRun, available

from hardpp.ops.precision import has_instructions
from hardpp.runs import training_stages
from hardpp.runs.folder import create, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.runs.trainer import Trainer


def test_an_interrupted_run_goes_on_bit_for_bit(trained: TinyRun, tmp_path: Path) -> None:
    config, out = trained.open().config, tmp_path / "run"
    session = Session(config, lambda text: None)
    create(out, config, session.description)
    steps = iter(range(1, 100))
    quietly: dict[str, Any] = {"watch": lambda record: None, "report": lambda text: None}
    train(session, session.trainer(), out, stop=lambda: next(steps) == 3, **quietly)
    assert metrics(out)[-1]["step"] == 3
    assert metrics(out)[-1]["step"] < metrics(trained.folder)[-1]["step"]
    succeed(*trained.command(out))
    for marker in ("latest", "best"):
        assert hashes(out, marker) == hashes(trained.folder, marker)
    assert metrics(out) == metrics(trained.folder)
    figures, again = (json.loads((folder / "summary.json").read_text()) for folder in (out, trained.folder))
    assert figures == again


def test_a_finished_run_is_only_evaluated_again(trained: TinyRun) -> None:
    def files() -> dict[Path, tuple[int, bytes]]:
        kept = (path for path in trained.folder.rglob("*") if path.is_file() and path.name != "summary.json")
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept if path.name != "run.lock"
        }

    before, summary = files(), (trained.folder / "summary.json").stat().st_mtime_ns
    succeed(*trained.command(trained.folder))
    after = files()
    rewritten = {path.name for path, (when, _) in after.items() if when != before[path][0]}
    assert {path: contents for path, (_, contents) in after.items()} == {
        path: contents for path, (_, contents) in before.items()
    }
    assert rewritten <= {"metrics.jsonl", "best"}
    assert (trained.folder / "summary.json").stat().st_mtime_ns > summary
    assert "holds a run already" in fail(2, *trained.command(trained.folder, "--resume", "never"))
    assert "another configuration (seed is 0 there, 1 here)" in fail(
        2, *trained.command(trained.folder, "--seed", "1")
    )


def test_narrow_products_leave_weights_and_bounds_wide(trained: TinyRun, tmp_path: Path) -> None:
    narrow = ("--set", "training.precision=bfloat16", "--max-steps", "1", "--evaluate", "none")
    told = hardpp(*trained.command(tmp_path / "run", *narrow, "--threads", "1"))
    assert told.exit_code == 0
    assert ("no instructions for bfloat16" in told.stderr) != has_instructions(
        torch.bfloat16, torch.device("cpu")
    )
    first, wide = metrics(tmp_path / "run")[0]["bound"], metrics(trained.folder)[0]["bound"]
    assert first != wide
    assert first == pytest.approx(wide, rel=0.02)
    programs = open_run(tmp_path / "run", "cpu").programs
    found = {each.dtype for each in (*programs.model.parameters(), *programs.guide.parameters())}
    assert found == {torch.float32}


def test_batches_leave_global_random_states_alone(trained: TinyRun) -> None:
    def states() -> list[Any]:
        return [torch.get_rng_state().tolist(), random.getstate()]

    session = Session(trained.open().config, lambda text: None)
    batches = session.trainer().epoch_batches(1)
    before = states()
    for make in batches:
        make()
    assert states() == before


def test_batches_made_beside_the_steps_are_the_same(
    trained: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bounds(beside: bool) -> list[float]:
        monkeypatch.setattr(Trainer, "_has_second_core", beside)
        session = Session(trained.open().config, lambda text: None)
        return [float(record.bound) for record, _ in zip(session.trainer().records(), range(3), strict=False)]

    assert bounds(beside=True) == bounds(beside=False)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_goes_on_where_its_data_were_moved_to(name: str, tmp_path: Path) -> None:
    run = TinyRun(name, tmp_path / "data", tmp_path / "run")
    available(name).write(run.data)
    longer = ["--max-steps", "2"]
    succeed(*run.command(run.folder, "--max-steps", "1"))
    elsewhere = tmp_path / "other" / "place"
    elsewhere.parent.mkdir()
    run.data.rename(elsewhere)
    told = fail(3, "evaluate", run.folder)
    assert f"{run.data}: the data that the run was trained on are not there any more" in told
    assert "--data PATH --part test" in told
    succeed("evaluate", run.folder, "--data", elsewhere, "--part", "test", "--limit", "1")
    moved = run._replace(data=elsewhere)
    told = hardpp(*moved.command(run.folder, *longer)).stderr
    assert f"{run.folder}: its data have moved, and are the same (data.name is '{run.data}' there" in told
    assert metrics(run.folder)[-1]["step"] == 2
    assert open_run(run.folder, "cpu").config.data.name == str(elsewhere)
    succeed("evaluate", run.folder, "--limit", "1")
    run.tiny.change(elsewhere)
    elsewhere.rename(run.data)
    assert f"the data have changed since {run.folder} was begun (data.name is" in fail(
        3, *run.command(run.folder, *longer)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fresh_training_does_everything_once_and_changed_data_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TinyRun(name, tmp_path / "data", tmp_path / "run")
    available(name).write(run.data)
    command = run.command(run.folder, "--max-steps", "1")
    with monkeypatch.context() as patch:
        calls = count_calls(patch, name, "load", "describe", "parts", "dev_batches")
        succeed(*command)
        # Networks are made twice, first without memory, to see how much they need.
        assert calls == {"load": 1, "describe": 1, "parts": 2, "dev_batches": 1}
    run.tiny.change(run.data)
    assert f"the data have changed since {run.folder} was begun" in fail(3, *command)
    assert open_run(run.folder, "cpu").step == 1
    succeed(*command, "--force")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_in_stages_that_ends_between_them_goes_on_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TinyRun(name, tmp_path / "data", tmp_path / "whole")
    available(name).write(run.data)
    stages = ["--set", "stages=[]", "--max-steps", "2", "--then", f"elbo name=after guide={run.tiny.guide}"]
    succeed(*run.command(run.folder, *stages))
    names = list(dict.fromkeys(record["stage"] for record in metrics(run.folder)))
    assert names[-1] == "after"
    assert [record["step"] for record in metrics(run.folder) if record["split"] == "train"] == list(
        range(1, 2 * len(names) + 1)
    )
    begun = []

    def killed(session: Any, plan: Any, number: int, *args: Any) -> Any:
        begun.append(number)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training_stages, "begin_stage", killed)
        with pytest.raises(Killed):
            succeed(*run.command(tmp_path / "run", *stages))
    assert begun == [1]
    succeed(*run.command(tmp_path / "run", *stages))
    for marker in ("latest", "best"):
        assert hashes(tmp_path / "run", marker) == hashes(run.folder, marker)
    assert metrics(tmp_path / "run") == metrics(run.folder)
    assert open_run(tmp_path / "run", "cpu").step == 2 * len(names)


class Killed(BaseException):
    """Stands for the end of the process."""


def count_calls(patch: pytest.MonkeyPatch, name: str, *methods: str) -> Counter[str]:
    """Counts the calls of a family's methods from here on."""
    from hardpp.tasks import catalogue

    calls: Counter[str] = Counter()
    kind = type(catalogue.family(name))

    def counted(method: str) -> Any:
        original = getattr(kind, method)

        def call(*args: Any) -> Any:
            calls[method] += 1
            return original(*args)

        return call

    for method in methods:
        patch.setattr(kind, method, counted(method))
    return calls
