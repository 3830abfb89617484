"""Texts of figures do not lie on one another."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpp.diagnostics.text_places import apart, free_places

HEIGHTS = st.lists(st.floats(0, 1), max_size=12)


@given(HEIGHTS)
def test_heights_come_apart_in_the_same_order_and_stay_between_0_and_1(heights: list[float]) -> None:
    moved = apart(heights, 0.06)
    in_order = [moved[number] for number in sorted(range(len(heights)), key=heights.__getitem__)]
    assert all(b - a >= 0.06 - 1e-9 for a, b in itertools.pairwise(in_order))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in moved)


def test_heights_that_are_apart_stay_and_others_make_room_on_both_sides() -> None:
    assert apart([0.9, 0.1, 0.5], 0.1) == pytest.approx([0.9, 0.1, 0.5])
    assert apart([0.5, 0.5, 0.9], 0.1) == pytest.approx([0.45, 0.55, 0.9])
    assert apart([1.0, 1.0], 0.1) == pytest.approx([0.9, 1.0])
    assert apart([0.0] * 12, 0.1)[-1] == pytest.approx(1.1)  # more than fit
    assert apart([], 0.1) == []


def test_a_text_is_in_the_middle_of_its_window_unless_another_is_there() -> None:
    places = free_places([(10, 10), (40, 40), (11, 10)], [20, 20, 20], gap=4)
    assert places[:2].tolist() == [[10, 10], [40, 40]]
    assert np.abs(places[2] - (11, 10)).max() <= 10  # within its window
    assert np.linalg.norm(places[2] - places[0]) >= 4
    assert free_places(np.empty((0, 2)), [], 1).shape == (0, 2)


def test_without_a_free_place_a_text_is_as_far_from_others_as_can_be() -> None:
    places = free_places([(0, 0), (0, 0)], [10, 10], gap=100)
    assert np.linalg.norm(places[1]) == pytest.approx(0.4 * 10 * 2**0.5)
