import signal
import threading

import pytest

from hardpp.errors import Stopped
from hardpp.runs.signals import Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_is_noted_and_a_second_is_raised(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as caught:
        assert caught.number == 0
        signal.raise_signal(number)
        assert caught.number == number
        with pytest.raises(Stopped) as end:
            signal.raise_signal(signal.SIGTERM)
        assert end.value.number == signal.SIGTERM
    assert signal.getsignal(number) is before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError), Signals():
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_handles_no_signal() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def enter() -> None:
        with Signals() as caught:
            seen.append((caught.came(), signal.getsignal(signal.SIGTERM) is before))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
