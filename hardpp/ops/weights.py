"""Sums over stages, and averages over particles.

Shapes: K particles, N stages; ... = instances.
"""

from math import log

import torch
from torch import Tensor


def prefix_sums(terms: Tensor) -> Tensor:
    """out[..., s] = sum of terms[..., :s], over the last dim."""
    return torch.cat([torch.zeros_like(terms[..., :1]), terms[..., :-1].cumsum(-1)], -1)


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


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log mean_k exp(log_weights[k]): (K, ...) -> (...)."""
    return log_weights.logsumexp(0) - log(log_weights.shape[0])


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """(sum_k w)^2 / sum_k w^2 of weights in nats, between 1 and K: (K, ...) -> (...).

    Source: Kong (1992).
    """
    return 1 / log_weights.softmax(0).square().sum(0)
