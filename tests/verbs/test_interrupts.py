"""Ctrl-C and SIGTERM end a command in order, whatever it was doing."""

import signal
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from hardpp.errors import Stopped
from hardpp.verbs.exit_codes import OrderedGroup
from hardpp.verbs.interrupts import Stoppable

NUMBERS = [signal.SIGINT, signal.SIGTERM]


def outcome(work: Callable[[], None]) -> Result:
    group = OrderedGroup("group", commands={"work": click.Command("work", callback=work)})
    return CliRunner().invoke(group, ["work"])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_verb_is_left_and_what_it_holds_is_put_in_order(number: signal.Signals) -> None:
    before, ended = signal.getsignal(number), []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            ended.append(True)

    result = outcome(work)
    assert (result.exit_code, result.stderr, ended) == (
        128 + number,
        f"hardpp: stopped by signal {number:d}\n",
        [True],
    )
    assert signal.getsignal(number) is before


def test_what_an_interrupted_library_makes_of_it_is_an_interrupt_all_the_same() -> None:
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as error:
            raise ImportError("a half-made module") from error

    result = outcome(work)
    assert (result.exit_code, result.stderr) == (130, "hardpp: stopped by signal 2\n")


def test_other_errors_stay_what_they_are() -> None:
    def work() -> None:
        raise ImportError("no such module")

    assert isinstance(outcome(work).exception, ImportError)


@pytest.mark.parametrize("number", NUMBERS)
def test_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stoppable() as signals, pytest.raises(Stopped):
        signal.raise_signal(number)
    assert signals.number == number
    assert signal.getsignal(number) is before


SECOND = """
import signal
from hardpp.verbs.interrupts import Stoppable, end_at_once

end_at_once()
if {during}:
    Stoppable().__enter__()
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("during", [False, True])
def test_one_before_a_verb_and_a_second_during_one_end_the_process_in_silence(during: bool) -> None:
    command = [sys.executable, "-c", SECOND.format(during=during)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
