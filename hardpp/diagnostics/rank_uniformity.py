"""Are ranks uniform? The test of simulation-based calibration, with a band for the whole curve.

A truth that was drawn from the same distribution as L draws has any rank among them with the same
probability. Ranks of N data as numbers between 0 and 1 (ties broken at random) therefore have the diagonal
as their cumulative distribution, up to noise; the band holds the whole of such a curve with the stated
probability.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian Inference Algorithms with
Simulation-Based Calibration; Säilynoja, Bürkner and Vehtari (2022), Graphical Test for Discrete Uniformity
and Its Applications, for the band.
Shapes: N data, L draws of each, P points of the curve.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_POINTS = 50
_SIMULATIONS = 2000


class Uniformity(NamedTuple):
    """How the curve of N ranks lies beside the diagonal."""

    p_value: float  # how often uniform ranks lie as far out, somewhere along the curve
    points: Floats  # (P,) where the curve is looked at, between 0 and 1
    difference: Floats  # (P,) the curve minus the diagonal
    lower: Floats  # (P,) the band, minus the diagonal
    upper: Floats


def fractional_ranks(truth: Floats, draws: Floats, random: np.random.Generator) -> Floats:
    """The rank of each truth (N,) among its draws (L, N), between 0 and 1: (N,).

    Equal values are in an order that chance decides, and so is the place within a rank.

    Raises:
        ValueError: the draws are not of as many data.
    """
    if draws.shape[1:] != truth.shape:
        raise ValueError(f"expected draws of {truth.shape} data, got {draws.shape}")
    below, equal = (draws < truth).sum(0), (draws == truth).sum(0)
    ranks: Floats = (below + random.uniform(0, equal + 1)) / (len(draws) + 1)
    return ranks


def uniformity(ranks: Floats, random: np.random.Generator, probability: float = 0.95) -> Uniformity:
    """Compares ranks (N,) with uniform ones; the band holds whole curves of these with `probability`."""
    from scipy.stats import binom  # slow to import, and most verbs never need it

    N, points = len(ranks), np.arange(1, _POINTS) / _POINTS
    bins = np.full(_POINTS, 1 / _POINTS)
    simulated = np.sort(_extremes(random.multinomial(N, bins, _SIMULATIONS).cumsum(-1)[:, :-1], N, points))
    counts = (ranks[:, None] <= points).sum(0)
    as_far = np.searchsorted(simulated, _extremes(counts[None], N, points)[0], side="right")
    edge = np.quantile(simulated, 1 - probability) / 2
    lower, upper = (binom.ppf(tail, N, points) / N - points for tail in (edge, 1 - edge))
    p_value = (1 + int(as_far)) / (_SIMULATIONS + 1)
    return Uniformity(p_value, points, counts / N - points, lower, upper)


# Of each curve, counts (..., P) of N ranks, the smallest two-sided tail probability along it.
def _extremes(counts: NDArray[Any], N: int, points: Floats) -> NDArray[Any]:
    from scipy.stats import binom

    every = np.arange(N + 1)[:, None]
    tails = np.minimum(binom.cdf(every, N, points), binom.sf(every - 1, N, points))  # (N + 1, P)
    smallest: NDArray[Any] = np.minimum(2 * np.take_along_axis(tails, counts, 0), 1).min(-1)
    return smallest
