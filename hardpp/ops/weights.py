"""Sums and means over stages and particles.

Shapes: K particles, N stages; ... = instances.
"""

from torch import Tensor


def suffix_sums(terms: Tensor) -> Tensor:
    """out[..., s] = sum of terms[..., s:], over the last dim."""
    return terms.flip(-1).cumsum(-1).flip(-1)


def mean_of_others(terms: Tensor) -> Tensor:
    """out[k] = mean over j != k of terms[j], for (K, ...) with K >= 2.

    Each row is centred first, so that a large common part is not lost to rounding.
    """
    K = terms.shape[0]
    centre = terms.mean(0, keepdim=True)
    return centre - (terms - centre) / (K - 1)
