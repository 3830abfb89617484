"""One thread at a time trains a run or answers of one; others wait for their turn.

Pyro has one stack of handlers and one store of parameters a process, and torch one random state: programs
that ran in two threads at once would see each other's handlers and draw each other's numbers. Notebooks, web
tools and sweeps may use threads all the same; whoever wants two trainings at once takes two processes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hardpp.errors import memory_advice, mended

_LESS = "give fewer data (--limit; of a training --evaluate quick), fewer draws, or a smaller beam"
_TURN = threading.RLock()  # a training evaluates its run, within its turn


@contextmanager
def one_thread(report: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Waits until no other thread is in such a block; `report` is told if there is one."""
    if not _TURN.acquire(blocking=False):
        report("waiting for another thread of this process, which runs programs: Pyro runs one at a time")
        _TURN.acquire()
    try:
        yield
    finally:
        _TURN.release()


@contextmanager
def answering() -> Iterator[None]:
    """A block that answers of a run, in one thread at a time; what the user can mend is an error of ours."""
    with one_thread(), mended(), memory_advice("while the run was asked", _LESS):
        yield
