"""Interrupts (SIGINT, SIGTERM) that end a training run between two steps, with a checkpoint."""

import signal
import sys
from typing import Any


class Signals:
    """Notes the first interrupt in `number`, for the caller to act upon; a second one ends the process.

    Use it as a context manager.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal that came; 0 while none did
        self.handlers: dict[int, Any] = {}  # those from before

    def __enter__(self) -> "Signals":
        """Installs the handlers."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Puts the handlers from before back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.number:
            sys.exit(128 + number)
        self.number = number
