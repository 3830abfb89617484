"""How far importance weights can be trusted, in numbers.

Draws from a guide are independent, so R-hat and autocorrelation say nothing about them; what can go
wrong is that a few draws carry all the weight. Effective sample size counts how many still matter;
ArviZ's own is that of Markov chains, so it is written here. Pareto k, which ArviZ computes, is the shape of
the largest weights: below 1/2 they have a variance, below 1 a mean. Draws of discrete values repeat, and so
do their weights; then there may be no tail to fit, and what was drawn once tells more: by Good and Turing's
estimate, weighted, the share of the weight on such values is about the probability of all that no draw has.

Source: Kong (1992) for the effective sample size; Vehtari, Simpson, Gelman, Yao and Gabry (2024),
Pareto Smoothed Importance Sampling, for k; Good (1953), The population frequencies of species, for values
drawn once.
Shapes: K draws, N data, each with weights of its own.
"""

import warnings
from math import ceil, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

FEWEST_DRAWS = 30  # with fewer, the tail is too short for ArviZ 1.x
_FEWEST_WEIGHTS = 5  # different ones, which a fit takes


def effective_sample_size(log_weights: Floats) -> Floats:
    """(sum w)^2 / sum w^2 over the draws, between 1 and K: (K, ...) in nats -> (...)."""
    # In double precision: rounding must not promise more draws than there are.
    weights = _normalised(log_weights)
    sizes: Floats = np.minimum(1 / np.square(weights).sum(0), len(weights))
    return sizes


def pareto_k(log_weights: Floats) -> Floats:
    """The shape of a generalised Pareto distribution fitted to the largest weights: (K, N) in nats -> (N,).

    Where these are fewer than five different ones there is nothing to fit. It is minus infinity where all of
    them are equal (that is the shape of weights heaped at their bound), and infinity where one to four stand
    out, as ArviZ has it: nothing vouches for the tail. With fewer than 30 draws it is NaN.
    """
    K, N = log_weights.shape
    if K < FEWEST_DRAWS:
        return np.full(N, np.nan)
    ordered = np.sort(log_weights, 0)
    size = ceil(min(K / 5, 3 * sqrt(K)))
    known = np.isfinite(ordered[-1])
    tail = ordered[-size - 1 :]
    different = (tail[1:] > tail[:-1]).sum(0)
    out = np.where((different == 0) & known, -np.inf, np.inf)
    fits = (different >= _FEWEST_WEIGHTS) & known
    if fits.any():
        # ArviZ weighs candidates by 1 / sum(exp): an overflow is a zero, and 0 / 0 no candidate.
        with np.errstate(over="ignore", invalid="ignore"):
            out[fits] = _fitted(log_weights[:, fits].astype(np.float64))
    return out


def equal_draws(drawn: NDArray[Any]) -> Integers:
    """The first draw with the same values, for every draw (K, N, ...): (K, N)."""
    K, N = drawn.shape[:2]
    flat = drawn.reshape(K, N, -1)
    firsts = np.empty((K, N), np.int64)
    for n in range(N):
        _, first, group = np.unique(flat[:, n], axis=0, return_index=True, return_inverse=True)
        firsts[:, n] = first[group.reshape(-1)]
    return firsts


def weight_drawn_once(log_weights: Floats, firsts: Integers) -> Floats:
    """The share of the weight on values that one draw has, of weights and `equal_draws` (K, N): (N,)."""
    counts = np.zeros(firsts.shape, np.int64)
    np.add.at(counts, (firsts, np.arange(firsts.shape[1])), 1)
    once = np.take_along_axis(counts, firsts, 0) == 1
    share: Floats = (_normalised(log_weights) * once).sum(0)
    return share


def _normalised(log_weights: Floats) -> Floats:
    weights = np.exp(log_weights.astype(np.float64) - log_weights.max(0))
    weights /= weights.sum(0)
    return weights


# ArviZ 0.2x has a function that takes weights with the draws last; 1.x has an accessor that takes a
# log-likelihood, which is minus a log ratio.
def _fitted(log_weights: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing a major refactor", FutureWarning)
        import arviz as az
    if hasattr(az, "from_pyro"):
        psislw: Any = az.psislw  # without annotations
        shape = psislw(np.ascontiguousarray(log_weights.T))[1]
    else:
        shape = xr.DataArray(-log_weights, dims=("draw", "datum")).azstats.psislw(dim=["draw"])[1]
    return np.asarray(shape, dtype=np.float64)
