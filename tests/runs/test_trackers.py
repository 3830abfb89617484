"""Trackers are told what is recorded, and none of them stops a training."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from corpora import fail, hardpp, metrics, train_command

from hardpp.config import RunConfig
from hardpp.runs import trackers
from hardpp.runs.calls_aside import CallsAside

Told = list[tuple[str, int, dict[str, float]]]


class Recorder:
    """A tracker that keeps what it is told, and fails, or does not come back, when it is told to."""

    def __init__(self, fails: str = "", wait: Callable[[], object] = lambda: None):
        self.told: Told = []
        self.fails, self.wait, self.begun, self.closed = fails, wait, 0, 0

    def __call__(self, folder: Path, config: RunConfig, step: int) -> "Recorder":
        self.begun += 1
        if self.fails == "begin":
            self.wait()
            raise RuntimeError("no network")
        return self

    def log(self, split: str, step: int, values: Mapping[str, float]) -> None:
        self.told.append((split, step, dict(values)))
        if self.fails == "log":
            self.wait()
            raise OSError("connection reset")

    def close(self) -> None:
        self.closed += 1
        if self.fails == "close":
            self.wait()
            raise ValueError("cannot flush")


def with_recorder(patch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    patch.setattr(trackers, "TRACKERS", {"json": recorder})  # a module that is always installed


def test_a_tracker_is_told_the_numbers_of_the_metrics(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    with_recorder(monkeypatch, recorder)
    result = hardpp(*train_command(corpus, tmp_path / "run", "--log", "json"))
    assert result.exit_code == 0, result.stderr
    names = ("split", "step")
    assert recorder.told == [
        (line["split"], line["step"], {key: float(value) for key, value in line.items() if key not in names})
        for line in metrics(tmp_path / "run")
    ]
    assert {"bound", "PER", "WER", "best", "epoch"} == recorder.told[-1][2].keys()
    assert (recorder.begun, recorder.closed) == (1, 1)


@pytest.mark.parametrize(("fails", "told"), [("begin", 0), ("log", 1), ("close", 7)])
def test_one_that_fails_is_told_once_and_training_goes_on(
    fails: str, told: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(fails)
    with_recorder(monkeypatch, recorder)
    result = hardpp(*train_command(corpus, tmp_path / "run", "--log", "json", "--evaluate", "none"))
    assert result.exit_code == 0
    assert result.stderr.count("--log json failed") == 1
    assert len(recorder.told) == told
    assert metrics(tmp_path / "run")[-1]["step"] == 10


def test_one_that_is_not_there_is_refused_before_anything_is_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = train_command(corpus, tmp_path / "run")
    assert "did you mean 'tensorboard'" in fail(2, *command, "--log", "tensorbord")
    monkeypatch.setattr(trackers, "TRACKERS", {"no_such_module": Recorder()})
    assert "pip install 'hardpp[no_such_module]'" in fail(2, *command, "--log", "no_such_module")
    assert not (tmp_path / "run").exists()


def test_tensorboard_reads_what_was_written(corpus: Path, tmp_path: Path) -> None:
    accumulator: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = hardpp(*train_command(corpus, tmp_path / "run", "--log", "tensorboard", "--evaluate", "none"))
    assert result.exit_code == 0, result.stderr
    assert "failed" not in result.stderr
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    dev = [line for line in metrics(tmp_path / "run") if line["split"] == "dev"]
    for name in ("bound", "PER"):
        values = [(event.step, event.value) for event in events.Scalars(f"dev/{name}")]
        assert values == [(line["step"], pytest.approx(line[name])) for line in dev]


def test_one_that_asks_the_process_to_end_and_one_that_is_half_installed_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*arguments: object) -> None:
        raise SystemExit("log in first\nwith a key")

    monkeypatch.setattr(trackers, "TRACKERS", {"half": leave})
    monkeypatch.setitem(sys.modules, "half", ModuleType("half"))  # find_spec fails at one without a spec
    told: list[str] = []
    trackers.check_trackers(["half"])
    with trackers.Trackers(["half"], tmp_path, RunConfig(), told.append) as all_of_them:
        all_of_them.begin(0)
        all_of_them.log({"split": "train", "step": 1})
    assert told == ["warning: --log half failed, and training goes on without it: SystemExit: log in first"]


@pytest.mark.parametrize(("hangs", "told"), [("begin", 0), ("log", 1), ("close", 7)])
def test_one_that_never_answers_is_left_behind(
    hangs: str, told: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = threading.Event()
    recorder = Recorder(hangs, ends.wait)
    with_recorder(monkeypatch, recorder)
    monkeypatch.setattr(trackers, "CallsAside", partial(CallsAside, 0.2))
    result = hardpp(*train_command(corpus, tmp_path / "run", "--log", "json", "--evaluate", "none"))
    ends.set()
    assert result.exit_code == 0
    assert result.stderr.count("--log json failed") == 1
    assert "it has not answered for 0.2 s" in result.stderr
    assert len(recorder.told) == told
    assert metrics(tmp_path / "run")[-1]["step"] == 10


def test_one_that_is_slower_than_training_is_told_everything() -> None:
    calls, told = CallsAside(), list[int]()
    calls.finish(partial(time.sleep, 0))
    for number in range(3000):  # more than may wait
        calls.ask(partial(told.append, number))
    calls.finish(partial(time.sleep, 0))
    assert told == [*range(3000)]
    assert calls.fault() == ""
