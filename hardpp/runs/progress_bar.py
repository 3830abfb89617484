"""The progress of a training run: a live bar on a terminal, plain lines elsewhere, on standard error."""

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

from hardpp.types import Record

# Between two losses that are shown, each of which makes the host wait for the device.
_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 30.0


def stderr_console() -> Console:
    """Standard error, where progress is shown; silent under `hardpp --quiet`."""
    context = click.get_current_context(silent=True)
    return Console(stderr=True, quiet=context is not None and bool(context.find_root().params.get("quiet")))


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
        self.dev = ""  # the last dev bound, in words
        self.bar = live_bar(self.console)
        self.row = self.bar.add_task("first step", total=total, completed=done)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, record: Record) -> None:
        """Shows a record: a step moves the bar, an epoch prints a line."""
        if record.split == "dev":
            mark = "  best" if record.values.get("best") else ""
            self.dev = f"dev {float(record.bound):.4f}"
            line = f"epoch {record.epoch:3d}  step {record.step:6d}  {self.dev} nats {self.unit}{mark}"
            self.console.print(line, highlight=False, soft_wrap=True)
            return
        now = time.monotonic()
        if now - self.shown_at < (_TERMINAL_SECONDS if self.live else _LOG_SECONDS):
            return
        self.shown_at = now
        if self.live:
            text = f"epoch {record.epoch + 1}  train {float(record.bound):.3f}  {self.dev}"
            self.bar.update(self.row, completed=record.step, description=text)
        else:
            text = f"step {record.step} of {self.total}  train {float(record.bound):.4f} nats {self.unit}"
            self.console.print(text, highlight=False, soft_wrap=True)
