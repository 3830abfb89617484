"""The progress of work on many items: a live bar on a terminal, plain lines elsewhere, on standard error."""

import time
from typing import Self

from hardpp.runs.progress_bar import live_bar, stderr_console

_LOG_SECONDS = 30.0


class Progress:
    """Shows how many items are done; use it as a context manager.

    Args:
        total: of all items.
        what: they are.
    """

    def __init__(self, total: int, what: str):
        self.total, self.what = total, what
        self.console = stderr_console()
        self.shown_at = time.monotonic()
        self.bar = live_bar(self.console)
        self.row = self.bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, done: int) -> None:
        """So many are done."""
        self.bar.update(self.row, completed=done)
        if self.bar.disable and time.monotonic() - self.shown_at > _LOG_SECONDS:
            self.shown_at = time.monotonic()
            self.console.print(f"{done} of {self.total} {self.what}", highlight=False, soft_wrap=True)
