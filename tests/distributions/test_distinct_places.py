"""Sequences of different places."""

from itertools import permutations
from math import log

import pytest
import torch

from hardpp.distributions.distinct_places import DistinctPlaces


def test_every_sequence_is_as_likely() -> None:
    every = torch.tensor(list(permutations(range(4), 2)))
    places = DistinctPlaces(4, 2, 3)
    log_prob = places.log_prob(every.unsqueeze(1).expand(12, 3, 2))
    assert log_prob.shape == (12, 3)
    assert log_prob.flatten().tolist() == pytest.approx([-log(12)] * 36)
    assert places.log_prob(torch.tensor([[1, 1], [0, 4], [2, 0]])).tolist() == pytest.approx(
        [-torch.inf, -torch.inf, -log(12)]
    )


def test_draws_are_as_frequent() -> None:
    torch.manual_seed(0)
    drawn = DistinctPlaces(4, 2, 3).sample(torch.Size([4000]))
    assert drawn.shape == (4000, 3, 2)
    numbers = (drawn[..., 0] * 4 + drawn[..., 1]).flatten()
    counts = torch.bincount(numbers, minlength=16)
    assert sorted(counts.tolist())[:4] == [0] * 4
    expected, deviation = 1000, (1000 * 11 / 12) ** 0.5
    assert all(abs(count - expected) < 4 * deviation for count in counts.tolist() if count)
    assert int((counts > 0).sum()) == 12


def test_shapes() -> None:
    places = DistinctPlaces(4, 4, 2).expand((5, 2))
    assert places.sample().shape == (5, 2, 4)
    assert DistinctPlaces(4, 0, 2).sample().shape == (2, 0)
    with pytest.raises(ValueError, match="5 glimpses cannot be at different ones of 4 places"):
        DistinctPlaces(4, 5, 2)
