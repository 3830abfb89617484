"""Uniform ranks stay in the band as often as it says, and others leave it."""

import numpy as np
import pytest

from hardpp.diagnostics.rank_uniformity import fractional_ranks, uniformity


def test_the_band_and_the_p_value_hold_what_they_promise() -> None:
    random = np.random.default_rng(0)
    found = [uniformity(random.uniform(size=50), random) for _ in range(200)]
    outside = [bool(((c.difference < c.lower) | (c.difference > c.upper)).any()) for c in found]
    p_values = np.array([curve.p_value for curve in found])
    # Four standard errors of 200 curves: the test fails by chance once in 16,000.
    assert np.mean(outside) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 200) ** 0.5)
    assert np.mean(p_values < 0.05) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 200) ** 0.5)
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 * (1 / 12 / 200) ** 0.5)


@pytest.mark.parametrize("shape", [(1.4, 1.0), (1.0, 1.4), (0.7, 0.7), (1.5, 1.5)])
def test_ranks_that_are_not_uniform_are_found(shape: tuple[float, float]) -> None:
    random = np.random.default_rng(0)
    curve = uniformity(random.beta(*shape, size=400), random)
    assert curve.p_value < 0.002
    assert ((curve.difference < curve.lower) | (curve.difference > curve.upper)).any()


def test_equal_values_are_in_an_order_that_chance_decides() -> None:
    random = np.random.default_rng(0)
    ranks = fractional_ranks(np.zeros(2000), np.zeros((9, 2000)), random)
    assert uniformity(ranks, random).p_value > 0.01
    with pytest.raises(ValueError, match="draws of"):
        fractional_ranks(np.zeros(3), np.zeros((9, 1)), random)
    ranks = fractional_ranks(np.array([0.0, 5.0, 2.0]), np.tile([[1.0], [3.0]], 3), random)
    assert [int(3 * rank) for rank in ranks] == [0, 2, 1]
