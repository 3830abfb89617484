"""What Ctrl-C and SIGTERM do to a command: it ends in order, without a traceback, in the signal's exit code.

    before and after     Python imports the command line, or is about to end: nothing is to be put in order
    during a verb        the verb is left by an exception, so that nothing half-written stays
    during a training    the step is finished, and a checkpoint written (`hardpp.runs.signals`)

A second signal ends the process at once. Python lets the main thread alone handle signals: in another one
nothing is changed.
"""

import os
import signal
import threading
from typing import Any, Self

from hardpp.errors import Stopped

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def end_at_once() -> None:
    """From here on a signal ends the process without a word."""
    for number in _NUMBERS:
        signal.signal(number, _leave)


class Stoppable:
    """A context manager in which a signal raises `Stopped`; handlers from before come back at its end.

    Attributes:
        number: of the signal that came, 0 while none did. What was interrupted, a library that was being
            imported, say, may have made another error of it.
    """

    def __init__(self) -> None:
        self.number = 0
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self._stop) for number in _NUMBERS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        if self.number:
            _leave(number, frame)
        self.number = number
        raise Stopped(number)


def _leave(number: int, frame: Any) -> None:
    os._exit(128 + number)
