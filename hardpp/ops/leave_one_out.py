"""Leave-one-out: means over the other particles, and the importance-weighted bound without one's own weight.

What stands in for a particle's weight or future must not depend on the latent whose credit is computed: it is
a mean of the others, or the particle's own past with a mean of the others' futures. The bound is, in log
space,

    log (1/K) (stand_in[k] + sum over j != k of w[j])

The sum of the others is scanned from both ends and not computed by subtracting w[k] from the sum of all: of
log weights 0, -30, -31, -32 the last three sum to exp(-29.59), which a subtraction rounds away. A weight of
zero (-inf) is allowed everywhere.

The temporal baseline compares a particle's future with futures that have as much left to do. Let O(t) be the
number of symbols that a particle has emitted after its first t latents. For the s-th latent of particle i the
future of particle j starts at the first t at which j has emitted as much as i had before that latent:

    e[i, j, s] = min {t >= 0 : O[j](t) >= O[i](s - 1)}
    out[i, s]  = mean over j != i of sum over stages t > e[i, j, s] of terms[j, t]

It depends on particle i only through the latents before the s-th, so any function of it, of the other
particles and of i's own past is a control variate for the s-th latent. Every pair of particles has its own
starts: time and memory are K^2 N an instance, and linear in K for all else here.

Source: Mnih and Rezende (2016); Lawson et al. (2017), equation 7, for the temporal baseline.
Shapes: K particles, ... = instances, N stages (stage 0 comes before the first latent).
"""

from math import log

import torch
from torch import Tensor

from hardpp.ops.weights import suffix_sums


def mean_of_others(terms: Tensor) -> Tensor:
    """out[k] = mean over j != k of terms[j], for (K, ...) with K >= 2.

    Each row is centred first, so that a large common part is not lost to rounding.
    """
    K = terms.shape[0]
    centre = terms.mean(0, keepdim=True)
    return centre - (terms - centre) / (K - 1)


def mean_of_all_others(terms: Tensor, counts: Tensor, *, beside: bool = True) -> Tensor:
    """The mean over the other rows and instances that count, (K, ..., N); 0 where there are none.

    Args:
        terms: (K, ..., N).
        counts: which of them count, bool, as what broadcasts to (K, ..., N).
        beside: do other instances of one's own row count, too? Else only those of other rows.
    """
    terms, counts = torch.broadcast_tensors(terms, counts)
    dims = tuple(range(terms.dim() - 1))
    number = counts.sum(dims, keepdim=True)
    centre = terms.where(counts, terms.new_zeros(())).sum(dims, keepdim=True) / number.clamp(min=1)
    apart = (terms - centre).where(counts, terms.new_zeros(()))  # sums to 0
    own, mine = apart, counts.long()
    if not beside:
        own, mine = (each.sum(dims[1:], keepdim=True) if dims[1:] else each for each in (own, mine))
    others = number - mine
    return ((centre * others - own) / others.clamp(min=1)).expand_as(terms)


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
    """The bound above for every particle, from log weights (K, ...), in nats, of the shape of `stand_in`.

    `stand_in` is its logarithm, (K, ...), or by stage (K, ..., N).
    """
    others = log_sum_of_others(log_weights)
    if stand_in.dim() > others.dim():
        others = others.unsqueeze(-1)
    return torch.logaddexp(others, stand_in) - log(log_weights.shape[0])


def mean_of_others_at_same_progress(terms: Tensor, progress: Tensor) -> Tensor:
    """The temporal baseline above, (K, ..., N); for stage 0 it is the mean of the others' totals.

    Args:
        terms: (K, ..., N) by stage, in nats, -inf allowed; K >= 2.
        progress: (K, ..., N - 1), the number emitted after each latent: not negative, never decreasing. The
            future of a particle that never gets as far is empty.
    """
    K, N = terms.shape[0], terms.shape[-1]
    none = terms.new_zeros(()).expand(*terms.shape[:-1], 1)
    futures = suffix_sums(torch.cat([terms, none], -1))  # (K, ..., N + 1), from each stage on, last empty
    emitted = torch.cat([none.to(progress.dtype), progress], -1).contiguous()  # O(0) .. O(N - 1)
    before = emitted[..., :-1].movedim(0, -2).flatten(-2)  # (..., K * (N - 1)), of the particles i
    reached = torch.searchsorted(emitted, before.expand(K, *before.shape).contiguous())  # of particle j: e
    ahead = futures.gather(-1, (reached + 1).clamp(max=N)).unflatten(-1, (K, N - 1))
    total = futures[..., :1].unsqueeze(-2).expand(*ahead.shape[:-1], 1)
    own = torch.eye(K, dtype=torch.bool, device=terms.device)
    own = own.reshape(K, *(1,) * (terms.dim() - 2), K, 1)
    others = torch.cat([total, ahead], -1).masked_fill(own, 0.0)  # (K, ..., K, N): j first, i last but one
    return others.sum(0).movedim(-2, 0) / (K - 1)
