"""A temporal baseline: the mean future of the other particles, from the step at which they had equal
progress.

A particle's future should be compared with futures that have as much left to do. Let O(t) be the number of
symbols that a particle has emitted after its first t latents. For the s-th latent of particle i the future of
particle j starts at the first t at which j has emitted as much as i had before that latent:

    e[i, j, s] = min {t >= 0 : O[j](t) >= O[i](s - 1)}
    out[i, s]  = mean over j != i of sum over stages t > e[i, j, s] of terms[j, t]

It depends on particle i only through the latents before the s-th, so any function of it, of the other
particles and of i's own past is a control variate for the s-th latent. Every pair of particles has its own
starts: time and memory are K^2 N an instance.

Source: Lawson et al. (2017), equation 7.
Shapes: K particles, ... = instances, N stages (stage 0 comes before the first latent).
"""

import torch
from torch import Tensor

from hardpp.ops.weights import suffix_sums


def mean_of_others_at_same_progress(terms: Tensor, progress: Tensor) -> Tensor:
    """The equation above; for stage 0 it is the mean of the others' totals.

    Args:
        terms: (K, ..., N) by stage, in nats, -inf allowed; K >= 2.
        progress: (K, ..., N - 1), the number emitted after each latent: not negative, never decreasing. The
            future of a particle that never gets as far is empty.

    Returns:
        (K, ..., N)
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
