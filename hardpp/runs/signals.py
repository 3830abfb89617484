"""Interrupts (SIGINT, SIGTERM) that end a training run between two steps, with a checkpoint."""

import signal
import threading
from typing import Any, Self

from hardpp.errors import Stopped


class Signals:
    """A context manager that notes the first interrupt in `number`; a second one raises `Stopped`.

    Python lets the main thread alone handle signals: in another one it does nothing.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal that came; 0 while none did
        self.handlers: dict[int, Any] = {}  # those from before

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def came(self) -> bool:
        """Has one come, for the caller to act upon?"""
        return self.number != 0

    def _note(self, number: int, frame: Any) -> None:
        if self.number:
            raise Stopped(number)
        self.number = number
