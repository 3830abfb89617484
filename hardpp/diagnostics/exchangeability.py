"""Are truths as probable as draws of their posterior? A test for posteriors that are too flat or too narrow.

A truth and L draws of the right posterior are exchangeable: any of these L + 1 values may have been the
truth. So it is known how the sum over data of

    truth - mean of the L + 1 values

is distributed. Of values log p(z, y) it is the score, at the temperature 1, of posteriors p(z | y)^(1 / T):
no other test sees a slight tempering as soon. Ranks (`hardpp.diagnostics.rank_uniformity`) see any fault, but
count every datum alike, also those whose latents are almost certain and tell nothing.

Source: Rao (1948), Large sample tests of statistical hypotheses, for score tests; Good (2005), Permutation,
Parametric and Bootstrap Tests of Hypotheses, for tests by exchangeability.
Shapes: N data, L draws of each.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SIMULATIONS = 1999
_AT_ONCE = 2_000_000  # values that are picked together
_FURTHEST = 50.0  # below the largest value of a datum: -inf, and what is as good as that, counts as so far


def exchangeability(truth: Floats, draws: Floats, random: np.random.Generator) -> float:
    """How often sums of truths (N,) that are exchangeable with draws (L, N) lie as far from their mean.

    Raises:
        ValueError: the draws are not of as many data.
    """
    if draws.shape[1:] != truth.shape:
        raise ValueError(f"expected draws of {truth.shape} data, got {draws.shape}")
    values = np.concatenate([truth[None], draws])  # (L + 1, N)
    values = np.maximum(values - values.max(0), -_FURTHEST)
    apart = values - values.mean(0)
    apart = apart[:, np.ptp(apart, 0) > 0]
    if not apart.size:
        return 1.0  # nothing is uncertain, so nothing is wrong
    L, N = len(apart) - 1, apart.shape[1]
    found = abs(apart[0].sum())
    as_far, left = 0, _SIMULATIONS
    while left:
        count = min(left, max(1, _AT_ONCE // N))
        picked = random.integers(0, L + 1, (count, N))
        sums = np.abs(np.take_along_axis(apart, picked, 0).sum(-1))
        as_far, left = as_far + int((sums >= found - 1e-9).sum()), left - count
    return (1 + as_far) / (_SIMULATIONS + 1)
