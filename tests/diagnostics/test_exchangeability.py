"""Truths among draws of the same distribution pass, and others are told apart, sooner than by ranks."""

from typing import Any

import numpy as np
import pytest

from hardpp.diagnostics.exchangeability import exchangeability
from hardpp.diagnostics.rank_uniformity import fractional_ranks, uniformity

DRAWS, STATES = 19, 5


def levels(
    random: np.random.Generator, data: int, power: float = 1.0, certain: float = 0.0
) -> list[np.ndarray]:
    """log p of a truth of every datum, and of draws of p^power; of a share of data p is certain."""
    p = random.dirichlet(np.full(STATES, 0.5), data)
    p[: round(certain * data)] = np.eye(STATES)[0]
    q = p**power
    truth, *draws = (
        (each / each.sum(-1, keepdims=True)).cumsum(-1).__gt__(random.uniform(size=(data, 1))).argmax(-1)
        for each in (p, *[q] * DRAWS)
    )
    log_p = np.log(np.maximum(p, 1e-30))
    return [np.take_along_axis(log_p, each[:, None], 1)[:, 0] for each in (truth, *draws)]


def p_value(random: np.random.Generator, *given: Any) -> float:
    truth, *draws = levels(random, *given)
    return exchangeability(truth, np.array(draws), random)


def test_p_values_of_the_right_posterior_are_uniform() -> None:
    random = np.random.default_rng(0)
    found = np.array([p_value(random, 30) for _ in range(200)])
    # Four standard errors of 200 values: each of these fails by chance once in 16,000.
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 200) ** 0.5)
    assert found.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / 200) ** 0.5)


@pytest.mark.parametrize("power", [0.6, 1.6])
def test_posteriors_that_are_too_flat_or_narrow_are_found(power: float) -> None:
    assert p_value(np.random.default_rng(0), 400, power) < 0.002


def test_data_that_are_certain_hide_nothing() -> None:
    random = np.random.default_rng(0)
    truth, *draws = levels(random, 3000, 0.7, 0.9)
    assert exchangeability(truth, np.array(draws), random) < 0.01
    assert uniformity(fractional_ranks(truth, np.array(draws), random), random).p_value > 0.05


def test_what_is_impossible_counts_as_far_and_what_is_certain_as_right() -> None:
    random = np.random.default_rng(0)
    assert exchangeability(np.zeros(9), np.zeros((19, 9)), random) == 1
    assert exchangeability(np.zeros(9), np.full((19, 9), -np.inf), random) < 0.002
    with pytest.raises(ValueError, match="draws of"):
        exchangeability(np.zeros(3), np.zeros((9, 1)), random)
