import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import hardpp
from hardpp.data.ahead import ahead
from hardpp.errors import DataError

ROOT = Path(hardpp.__file__).parents[1]  # so that a child process imports the hardpp under test


class Kitchen:
    """Makes dishes, numbers that take a while, and notes by whom and how often."""

    def __init__(self, count: int = 12):
        self.made: list[int] = []
        self.threads: set[int] = set()
        self.makers = [partial(self.make, number) for number in range(count)]

    def make(self, number: int) -> int:
        time.sleep(0.002 * (number % 3))
        self.threads.add(threading.get_ident())
        self.made.append(number)
        if number == 7:
            raise DataError("7: is broken", "mend it")
        return number * number


def taken(batches: object, places: range) -> list[int]:
    assert hasattr(batches, "__getitem__")
    return [batches[place]() for place in places]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_order_and_content_do_not_depend_on_workers(workers: int) -> None:
    kitchen = Kitchen()
    batches = ahead(kitchen.makers, workers)
    assert len(batches) == 12
    assert not kitchen.made  # to count batches makes none
    assert taken(batches, range(7)) == [0, 1, 4, 9, 16, 25, 36]
    here = threading.get_ident()
    assert (here in kitchen.threads) == (workers == 0)
    with pytest.raises(DataError, match=r"^7: is broken$") as error:
        batches[7]()
    assert error.value.hint == "mend it"
    assert taken(batches, range(8, 12)) == [64, 81, 100, 121]
    assert sorted(kitchen.made) == list(range(12))  # each once


@pytest.mark.parametrize("workers", [0, 2])
def test_one_may_begin_anywhere_and_ask_again(workers: int) -> None:
    kitchen = Kitchen()
    batches = ahead(kitchen.makers, workers)
    again: Callable[[], int] = batches[8]
    assert again() == 64
    assert taken(batches, range(9, 12)) == [81, 100, 121]
    assert again() == 64
    assert kitchen.made.count(8) == 2
    assert not {*range(8)} & {*kitchen.made}
    assert batches[-1]() == 121
    assert taken(batches[2:4], range(2)) == [4, 9]
    with pytest.raises(IndexError):
        batches[12]


def test_so_many_are_made_ahead_and_no_more() -> None:
    kitchen = Kitchen(100)
    batches = ahead(kitchen.makers, 2)
    first = batches[0]
    deadline = time.monotonic() + 10
    while len(kitchen.made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sorted(kitchen.made) == [0, 1, 2, 3]
    assert first() == 0
    assert len(kitchen.made) == 4  # it was there already


def test_no_thread_is_left_behind_by_batches_that_nobody_takes() -> None:
    before = set(threading.enumerate())
    batches = ahead(Kitchen().makers, 3)
    batches[0]()
    ours = set(threading.enumerate()) - before
    assert len(ours) == 3
    del batches
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)


def test_workers_are_counted() -> None:
    with pytest.raises(ValueError, match="at least 0 workers, got -1"):
        ahead([], -1)
    assert list(ahead([], 2)) == []


INTERRUPTED = """
import os, signal, sys, threading, time
from hardpp.data.ahead import ahead

def make():
    time.sleep(0.05)
    return 0

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
batches = ahead([make] * 10000, 3)
threading.Timer(0.3, os.kill, (os.getpid(), int(sys.argv[1]))).start()
for place in range(len(batches)):
    batches[place]()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_program_soon(number: int) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(int(number))]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if number == signal.SIGINT:
        assert outcome.stderr.rstrip().endswith("KeyboardInterrupt")
    else:
        assert (outcome.returncode, outcome.stderr) == (143, "")
