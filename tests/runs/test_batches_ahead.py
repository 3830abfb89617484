import threading
from collections.abc import Callable
from functools import partial

import pytest

from hardpp.errors import DataError
from hardpp.runs.batches_ahead import BatchesAhead


def makers(count: int, made: list[tuple[int, str]]) -> list[Callable[[], int]]:
    """What makes the numbers from 0 on, and notes which thread did."""

    def make(number: int) -> int:
        made.append((number, threading.current_thread().name))
        return number

    return [partial(make, number) for number in range(count)]


def test_every_batch_is_made_once_and_all_but_the_first_beside() -> None:
    ahead, made = BatchesAhead(), list[tuple[int, str]]()
    batches = makers(4, made)
    for number, make in enumerate(batches):
        ahead.following = next(iter(batches[number + 1 :]), None)
        assert ahead.take(make) == number
    assert [number for number, _ in made] == [0, 1, 2, 3]
    assert made[0][1] == threading.current_thread().name
    assert {name for _, name in made[1:]} == {"batches ahead_0"}


def test_another_batch_than_was_foreseen_is_made_at_once() -> None:
    ahead, made = BatchesAhead(), list[tuple[int, str]]()
    first, foreseen, other = makers(3, made)
    ahead.following = foreseen
    assert [ahead.take(first), ahead.take(other), ahead.take(foreseen)] == [0, 2, 1]


def test_an_error_comes_with_the_batch_that_has_it() -> None:
    def fail() -> int:
        raise DataError("the second batch is damaged")

    ahead, (first,) = BatchesAhead(), makers(1, [])
    ahead.following = fail
    assert ahead.take(first) == 0
    with pytest.raises(DataError, match="the second batch is damaged"):
        ahead.take(fail)
