"""How far importance weights can be trusted.

Draws from a guide are independent, so R-hat and autocorrelation say nothing about them; what can go
wrong is that a few draws carry all the weight. Effective sample size counts how many still matter;
ArviZ's own is that of Markov chains, so it is written here. Pareto k, which ArviZ computes, tells whether the
weights have a finite variance at all (below 0.7: the average is usable).

Source: Kong (1992) for the effective sample size; Vehtari, Simpson, Gelman, Yao and Gabry (2024),
Pareto Smoothed Importance Sampling, for k.
Shapes: K draws, N data, each with weights of its own.
"""

import warnings
from math import ceil, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_FEWEST_DRAWS = 30  # with fewer, the tail is too short for ArviZ 1.x


def effective_sample_size(log_weights: Floats) -> Floats:
    """(sum w)^2 / sum w^2 over the draws, between 1 and K: (K, ...) in nats -> (...)."""
    # In double precision: rounding must not promise more draws than there are.
    weights = np.exp(log_weights.astype(np.float64) - log_weights.max(0))
    weights /= weights.sum(0)
    sizes: Floats = np.minimum(1 / np.square(weights).sum(0), len(weights))
    return sizes


def pareto_k(log_weights: Floats) -> Floats:
    """The shape of a generalised Pareto distribution fitted to the largest weights: (K, N) in nats -> (N,).

    It is NaN where there is no tail to fit: fewer than 30 draws, or so many equal weights that fewer than
    five stand out.
    """
    K, N = log_weights.shape
    out = np.full(N, np.nan)
    if K < _FEWEST_DRAWS:
        return out
    ordered = np.sort(log_weights, 0)
    size = ceil(min(K / 5, 3 * sqrt(K)))
    tail, below = ordered[-size:], ordered[-size - 1]
    fits = ((tail > below).sum(0) >= 5) & (tail[-1] > tail[0]) & np.isfinite(ordered[-1])
    if fits.any():
        # ArviZ weighs candidates by 1 / sum(exp): an overflow is a zero, and 0 / 0 no candidate.
        with np.errstate(over="ignore", invalid="ignore"):
            out[fits] = _fitted(log_weights[:, fits].astype(np.float64))
    return out


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
