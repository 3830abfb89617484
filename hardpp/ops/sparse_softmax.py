"""Probabilities that are exactly zero for most values: sparsemax, 1.5-entmax and the K largest.

    sparsemax    p[s] = [x[s] - tau]_+             x the scores: p is their projection onto the simplex
    entmax15     p[s] = [x[s] - tau]_+ ^ 2         x half the scores
    K            p = softmax of the K largest scores

tau is the number that makes p sum to 1. A value is in the support, p[s] > 0, if the others sum to less than 1
with tau at its own x[s]; so the support follows from sorted scores. With n values in it

    sparsemax    tau = (sum of x - 1) / n          entmax15    tau = mean of x - sqrt((1 - v) / n)

over the support, where v is the sum of squared differences from the mean. These are differentiable functions
of the scores in the support, so the gradient of p is that of the transform, to any order: zero for values
outside, and summing to zero over those inside. The largest score is always in the support.

Sources: Martins and Astudillo (2016), From Softmax to Sparsemax, algorithm 1; Peters, Niculae and Martins
(2019), Sparse Sequence-to-Sequence Models, algorithm 2 (1.5-entmax).
Shapes: ... = batch, S values.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from hardpp.ops.precision import at_least_single

Threshold = Literal["sparsemax", "entmax15"]
Sparsity = Threshold | int  # an int is how many of the largest scores are kept


def sparse_log_softmax(scores: Tensor, sparsity: Sparsity) -> Tensor:
    """Log-probabilities (..., S) of scores (..., S), in nats, float32 or wider; -inf outside the support.

    A score of -inf is never in the support. Of equal scores at the edge of the K largest, some are kept.

    Args:
        scores: as for a softmax. NaN, or a row without a score above -inf, gives NaN.
        sparsity: "sparsemax", "entmax15", or K, at least 1.

    Raises:
        ValueError: the sparsity is none of these.
    """
    if sparsity not in get_args(Threshold) and not (type(sparsity) is int and sparsity >= 1):
        raise ValueError(f"sparsity is 'sparsemax', 'entmax15' or a number of values, not {sparsity!r}")
    x = at_least_single(scores)
    if isinstance(sparsity, int):
        kept = x.topk(min(sparsity, x.shape[-1])).indices
        rest = torch.ones_like(x, dtype=torch.bool).scatter(-1, kept, False)
        return x.masked_fill(rest, -torch.inf).log_softmax(-1)
    power = 1 if sparsity == "sparsemax" else 2
    x = (x - x.detach().amax(-1, keepdim=True)) / power  # a common part makes no difference
    above = x - threshold(x, power)
    inside = (above > 0) | above.isnan()
    return power * above.where(inside, 1.0).log().masked_fill(~inside, -torch.inf)


def threshold(x: Tensor, power: int) -> Tensor:
    """tau such that [x - tau]_+ ^ power, 1 or 2, sums to 1, (..., 1); the largest x is 0 in every row."""
    with torch.no_grad():
        ranked = x.clamp(min=-1.0).sort(-1, descending=True).values  # what is at -1 or below has no part
        n = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
        # What those before a value sum to with tau at the value itself: it never falls along the ranks.
        total = ranked.cumsum(-1) - n * ranked
        if power == 2:
            total = ranked.square().cumsum(-1) - 2 * ranked * ranked.cumsum(-1) + n * ranked.square()
        least = ranked.where((total < 1) & (ranked > -1), 0.0).amin(-1, keepdim=True)
        inside = x >= least
        size = inside.sum(-1, keepdim=True).to(x.dtype)
    mean = x.where(inside, 0.0).sum(-1, keepdim=True) / size
    if power == 1:
        return mean - 1 / size
    v = (x - mean).where(inside, 0.0).square().sum(-1, keepdim=True)
    return mean - ((1 - v) / size).sqrt()
