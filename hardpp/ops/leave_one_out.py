"""The importance-weighted bound with one particle's weight replaced, in log space.

    log (1/K) (stand_in[k] + sum over j != k of w[j])

The stand-in for w[k] must not depend on the latent whose credit is computed: it is a mean of the other
weights, or the particle's own past with a mean of the others' futures. The sum of the others is scanned from
both ends and not computed by subtracting w[k] from the sum of all: of log weights 0, -30, -31, -32 the last
three sum to exp(-29.59), which a subtraction rounds away. Time and memory are linear in K. A weight of zero
(-inf) is allowed everywhere.

Source: Mnih and Rezende (2016).
Shapes: K particles, ... = instances, N stages.
"""

from math import log

import torch
from torch import Tensor

from hardpp.ops.weights import mean_of_others


def log_sum_of_others(log_weights: Tensor) -> Tensor:
    """log sum over j != k of exp(log_weights[j]): (K, ...) -> (K, ...), in nats; -inf for K = 1."""
    none = torch.full_like(log_weights[:1], -torch.inf)
    before = torch.cat([none, log_weights[:-1].logcumsumexp(0)])
    after = torch.cat([log_weights[1:].flip(0).logcumsumexp(0).flip(0), none])
    return torch.logaddexp(before, after)


def log_mean_of_others(log_weights: Tensor) -> Tensor:
    """The log of the arithmetic mean of the other weights: (K, ...) -> (K, ...), K >= 2, in nats."""
    return log_sum_of_others(log_weights) - log(log_weights.shape[0] - 1)


def log_geometric_mean_of_others(log_weights: Tensor) -> Tensor:
    """The log of the geometric mean of the other weights: (K, ...) -> (K, ...), K >= 2, in nats.

    -inf where another weight is zero.
    """
    zero = log_weights == -torch.inf
    mean = mean_of_others(log_weights.masked_fill(zero, 0.0))
    return mean.masked_fill(zero.sum(0) > zero.long(), -torch.inf)


def held_out_bound(log_weights: Tensor, stand_in: Tensor) -> Tensor:
    """The equation above for every particle.

    Args:
        log_weights: (K, ...) in nats.
        stand_in: its logarithm, (K, ...), or by stage (K, ..., N).

    Returns:
        The shape of `stand_in`.
    """
    others = log_sum_of_others(log_weights)
    if stand_in.dim() > others.dim():
        others = others.unsqueeze(-1)
    return torch.logaddexp(others, stand_in) - log(log_weights.shape[0])
