"""Nearest places, against all distances by hand."""

import math

import pytest
import torch
from torch import Tensor

from hardpp.ops.nearest_places import nearest_places


def by_hand(points: Tensor, places: Tensor, once: bool) -> list[int]:
    taken: list[int] = []
    for point in points.tolist():
        apart = [math.dist(point, place) for place in places.tolist()]
        free = [n for n in range(len(apart)) if not (once and n in taken)]
        taken.append(min(free, key=lambda n: apart[n]))
    return taken


@pytest.mark.parametrize("once", [False, True])
def test_each_takes_the_nearest_that_is_left(once: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(7, 2, generator=generator)
    points = torch.rand(3, 5, 6, 2, generator=generator)
    found = nearest_places(points, places, once=once)
    expected = [[by_hand(row, places, once) for row in rows] for rows in points]
    assert found.tolist() == expected
    assert any(len(set(row)) < 6 for rows in expected for row in rows) is not once


def test_there_must_be_enough_places() -> None:
    places = torch.zeros(2, 2)
    assert nearest_places(torch.zeros(3, 2), places).shape == (3,)
    with pytest.raises(ValueError, match="3 points cannot be at different ones of 2 places"):
        nearest_places(torch.zeros(3, 2), places, once=True)
