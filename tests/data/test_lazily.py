"""Sequences whose members are made when they are asked for are like lists of them."""

import pytest

from hardpp.data.lazily import Joined, Mapped


def test_mapped() -> None:
    made = []
    mapped = Mapped(range(5), lambda number: made.append(number) or 2 * number)
    assert (len(mapped), made) == (5, [])
    assert (mapped[3], mapped[-1], made) == (6, 8, [3, 4])
    assert list(mapped[1:3]) == [2, 4]
    assert list(mapped) == [0, 2, 4, 6, 8]


def test_joined() -> None:
    joined = Joined("ab", [], ["c"])
    assert list(joined) == ["a", "b", "c"]
    assert [joined[index] for index in range(-3, 3)] == ["a", "b", "c"] * 2
    assert joined[1:] == ["b", "c"]
    assert len(joined) == 3
    with pytest.raises(IndexError):
        joined[3]
