"""What a person sees while a run trains: a live bar on a terminal, plain lines elsewhere.

Everything goes to the standard error stream; results belong to standard output.
"""

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

# Between two looks at the loss, which costs a host synchronisation: on a terminal, and in a log.
_SECONDS = 0.5
_LOG_SECONDS = 30.0


class TrainingProgress:
    """Shows training records as they come; use it as a context manager.

    Args:
        total: steps of the whole run.
        done: steps done before.
        unit: what bounds are shown for one of.
    """

    def __init__(self, total: int, done: int, unit: str = "symbol"):
        self.unit = unit
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal
        self.total, self.shown = total, -_LOG_SECONDS
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
            line = f"epoch {record.epoch:3d}  step {record.step:6d}  {self.dev} nats a {self.unit}{mark}"
            self.console.print(line, highlight=False, soft_wrap=True)
            return
        now = time.monotonic()
        if now - self.shown < (_SECONDS if self.live else _LOG_SECONDS):
            return
        self.shown = now
        if self.live:
            text = f"epoch {record.epoch + 1}  train {float(record.bound):.3f}  {self.dev}"
            self.bar.update(self.row, completed=record.step, description=text)
        else:
            text = f"step {record.step} of {self.total}  train {float(record.bound):.4f} nats a {self.unit}"
            self.console.print(text, highlight=False, soft_wrap=True)
