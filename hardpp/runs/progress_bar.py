"""The progress of a training, or of work on many items: a live bar on a terminal, plain lines elsewhere.

All of it goes to standard error.
"""

import time
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hardpp.runs.processes.process_rank import rank
from hardpp.types import Record

# Between two losses that are shown, each of which makes the host wait for the device.
_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 30.0
_PACE_SECONDS = 1.0  # over which a pace is taken, at least


def stderr_console() -> Console:
    """Standard error, where progress is shown; silent under `--quiet`, and in processes but the first."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and bool(context.find_root().params.get("quiet"))
    return Console(stderr=True, quiet=quiet or rank() > 0)


def live_bar(console: Console) -> Progress:
    """A bar with what is done, of how much, and times; it is not shown where there is no terminal."""
    text, times = TextColumn("{task.description}"), (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (text, BarColumn(), MofNCompleteColumn(), *times)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


class TrainingProgress:
    """Shows training records as they come; use it as a context manager.

    Args:
        total: steps of the whole run.
        done: steps done before.
        unit: bounds are shown in nats of this unit, such as "a symbol".
    """

    def __init__(self, total: int, done: int, unit: str = "a symbol"):
        self.total, self.unit = total, unit
        self.console = stderr_console()
        self.live = self.console.is_terminal
        self.shown_at = -_LOG_SECONDS  # when a loss was shown last, in seconds
        self.counted = (done, time.monotonic())  # steps, and when the pace was taken last
        self.dev, self.speed = "", ""  # the last dev bound, and steps a second, in words
        self.bar = live_bar(self.console)
        self.row = self.bar.add_task("first step", total=total, completed=done)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, record: Record) -> None:
        """Shows a record: a step moves the bar, an epoch prints a line."""
        now = time.monotonic()
        if record.split == "dev":
            mark = "  best" if record.values.get("best") else ""
            self.dev = f"dev {float(record.bound):.4f}"
            figures = "".join(f"  {key} {value:.4g}" for key, value in record.values.items() if key != "best")
            line = f"epoch {record.epoch:3d}  step {record.step:6d}  {self.dev} nats {self.unit}{figures}"
            line += f"{self.pace(record.step, now)}{mark}"
            self.console.print(line, highlight=False, soft_wrap=True)
            return
        if now - self.shown_at < (_TERMINAL_SECONDS if self.live else _LOG_SECONDS):
            return
        self.shown_at = now
        if self.live:
            text = f"epoch {record.epoch + 1}  train {float(record.bound):.3f}  {self.dev}"
            text += self.pace(record.step, now)
            self.bar.update(self.row, completed=record.step, description=text)
        else:
            text = f"step {record.step} of {self.total}  train {float(record.bound):.4f} nats {self.unit}"
            self.console.print(f"{text}{self.pace(record.step, now)}", highlight=False, soft_wrap=True)

    def pace(self, step: int, now: float) -> str:
        """Steps a second since the last second at least, validation and checkpoints included, in words."""
        before, began = self.counted
        if step > before and now - began >= _PACE_SECONDS:
            self.counted, self.speed = (step, now), f"  {(step - before) / (now - began):.3g} steps/s"
        return self.speed


class ItemProgress:
    """Shows how many items are done; use it as a context manager.

    Args:
        total: of all items.
        what: they are.
    """

    def __init__(self, total: int, what: str):
        self.total, self.what, self.done = total, what, 0
        self.console = stderr_console()
        self.shown_at = time.monotonic()
        self.bar = live_bar(self.console)
        self.row = self.bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def add(self, count: int) -> None:
        """So many more are done; of work that goes through all items several times, in this pass."""
        self.done = count if self.done >= self.total else self.done + count
        self.show(min(self.done, self.total))

    def show(self, done: int) -> None:
        """So many are done."""
        self.bar.update(self.row, completed=done)
        if self.bar.disable and time.monotonic() - self.shown_at > _LOG_SECONDS:
            self.shown_at = time.monotonic()
            self.console.print(f"{done} of {self.total} {self.what}", highlight=False, soft_wrap=True)
