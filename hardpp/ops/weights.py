"""Sums over stages, and averages of importance weights.

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


def normalised(log_weights: Tensor) -> Tensor:
    """Weights that sum to 1 over particles, dim 0; all 0 where every particle is impossible."""
    impossible = (log_weights == -torch.inf).all(0)
    return log_weights.masked_fill(impossible, 0.0).softmax(0).masked_fill(impossible, 0.0)


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log mean_k exp(log_weights[k]): (K, ...) -> (...)."""
    return log_weights.logsumexp(0) - log(log_weights.shape[0])


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """(sum_k w)^2 / sum_k w^2 (Kong 1992) of weights in nats, between 1 and K: (K, ...) -> (...)."""
    return 1 / log_weights.softmax(0).square().sum(0)
