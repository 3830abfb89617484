"""Interrupts that end a run in order: noted when they come, acted upon between two steps."""

import signal
import sys
from typing import Any


class Signals:
    """Notes an interrupt instead of dying of it; a second one ends the process at once."""

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        """Takes the handlers over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Gives the handlers back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.number:
            sys.exit(128 + number)
        self.number = number
