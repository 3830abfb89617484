import re

import pytest
import torch

from hardpp.runs.progress_bar import ItemProgress, TrainingProgress
from hardpp.types import Record

DEV = Record("dev", 4, 1, -1.25, {"best": 1.0})


class Unread:
    """A bound that must not be asked for, as each asking waits for the device."""

    def __float__(self) -> float:
        raise AssertionError("the bound was read")


def show(*records: Record, total: int = 8, done: int = 0) -> None:
    with TrainingProgress(total, done) as progress:
        for record in records:
            progress.show(record)


def step(number: int, bound: object = None) -> Record:
    return Record("train", number, 0, torch.tensor(-2.0) if bound is None else bound, {})  # type: ignore[arg-type]


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(step(1), step(2, Unread()), DEV, step(5, Unread()), DEV._replace(values={"best": 0.0}))
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    first, best, other = err.splitlines()
    assert first == "step 1 of 8  train -2.0000 nats a symbol"
    assert "-1.2500 nats a symbol" in best
    assert best.endswith("best")
    assert not other.endswith("best")


def test_a_long_epoch_leaves_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 12))
    monkeypatch.setattr("hardpp.runs.progress_bar.time.monotonic", lambda: float(next(clock)))
    show(*(step(number) for number in range(1, 8)))
    shown = [int(number) for number in re.findall(r"^step (\d+)", capsys.readouterr().err, re.M)]
    assert shown == [1, 4, 7]


def terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "120", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    show(step(3), DEV, done=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/8" in err
    assert "train -2.000" in err
    assert "dev -1.2500" in err
    assert re.search(r"\x1b\[[0-9;]*m", err)


def test_no_colour_where_none_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch, NO_COLOR="1")
    show(step(3), DEV, done=2)
    err = capsys.readouterr().err
    assert "3/8" in err
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", err)
    assert not re.search(r"\x1b\[[0-9;]*38;", err)


def test_steps_a_second_and_figures_of_the_dev_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("hardpp.runs.progress_bar.time.monotonic", lambda: float(next(clock)))
    show(step(25), DEV._replace(step=40, values={"best": 1.0, "PER": 0.25}), total=40)
    first, dev = capsys.readouterr().err.splitlines()
    assert first.endswith("a symbol  2.5 steps/s")  # 25 steps in 10 seconds, and then 15
    assert dev.endswith("a symbol  PER 0.25  1.5 steps/s  best")


def test_items_that_are_gone_through_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    with ItemProgress(10, "pairs") as progress:
        monkeypatch.setattr(progress, "show", done.append)
        for _ in range(2):
            for count in (4, 4, 2):
                progress.add(count)
    assert done == [4, 8, 10, 4, 8, 10]
