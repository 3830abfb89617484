"""Calls of somebody else's code, made one after another in a thread beside the training, with patience.

A call that fails ends it, and so does one that has not come back for a time: a thread cannot be stopped, but
it can be left behind. Nobody waits for it any more, and it does not keep the process from ending.
"""

import threading
import time
from collections.abc import Callable
from queue import Full, Queue

from hardpp.errors import first_line

PATIENCE = 120.0  # seconds that one call may take: a client may wait for a network, or for a password
_WAITING = 1000  # calls that may wait, before who asks for more has to wait as well
_LOOK = 0.5  # seconds between looks at a call that is waited for

Call = Callable[[], object]


class CallsAside:
    """The thread, and the calls that it has still to make.

    Args:
        patience: Seconds that one call may take.
    """

    def __init__(self, patience: float = PATIENCE):
        self.patience = patience
        self._calls: Queue[tuple[Call, threading.Event]] = Queue(_WAITING)
        self._began: float | None = None  # when the call did that is being made
        self._error = ""
        threading.Thread(target=self._make_calls, name="calls aside", daemon=True).start()

    def fault(self) -> str:
        """What came of a call that failed, or does not come back; empty while all is well."""
        began = self._began
        if not self._error and began is not None and time.monotonic() - began > self.patience:
            self._error = f"it has not answered for {self.patience:g} s"
        return self._error

    def ask(self, call: Call) -> threading.Event:
        """Has a call made after those before it; returns what is set once it came back.

        While too many wait, this waits for room among them.
        """
        done = threading.Event()
        while not self.fault():
            try:
                self._calls.put((call, done), timeout=_LOOK)
                break
            except Full:
                continue
        return done

    def finish(self, call: Call) -> None:
        """Has a call made, and waits until it came back, or one failed or does not come back."""
        done = self.ask(call)
        while not self.fault() and not done.wait(min(_LOOK, self.patience)):
            continue

    def _make_calls(self) -> None:
        while not self._error:
            call, done = self._calls.get()
            self._began = time.monotonic()
            try:
                call()
            except (Exception, SystemExit) as error:
                self._error = self._error or f"{type(error).__name__}: {first_line(error)}"
            self._began = None
            done.set()
