"""What a person sees while a run trains: a live bar on a terminal, plain lines elsewhere.

Everything goes to the standard error stream; results belong to standard output.
"""

import sys
import time
from types import TracebackType

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

_SECONDS = 0.5  # between two looks at the loss, which costs a host synchronisation


class TrainingProgress:
    """Shows training records as they come; use it as a context manager.

    Args:
        total: steps of the whole run.
        done: steps done before.
    """

    def __init__(self, total: int, done: int):
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal
        self.total, self.done, self.shown = total, done, 0.0
        self.dev = ""
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.live,
            transient=True,
        )
        self.row = self.bar.add_task("first step", total=total, completed=done)

    def __enter__(self) -> "TrainingProgress":
        """Starts the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the bar away."""
        self.bar.stop()

    def show(self, record: Record) -> None:
        """One more record: a step moves the bar, an epoch leaves a line."""
        if record.split == "dev":
            mark = "  best" if record.values.get("best") else ""
            self.dev = f"dev {float(record.bound):.4f}"
            line = f"epoch {record.epoch:3d}  step {record.step:6d}  {self.dev} nats a symbol{mark}"
            self.console.print(line, highlight=False)
            return
        now = time.monotonic()
        if self.live and now - self.shown >= _SECONDS:
            self.shown = now
            text = f"epoch {record.epoch + 1}  train {float(record.bound):.3f}  {self.dev}"
            self.bar.update(self.row, completed=record.step, description=text)
        elif record.step == self.done + 1:
            print(f"step {record.step} of {self.total}", file=sys.stderr, flush=True)
