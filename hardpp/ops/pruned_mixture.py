"""The terms of a mixture over a large vocabulary; only the terms that count are normalised.

    log p(y) = log sum_s exp(log_weight[s]) f_s(y),      f_s = softmax(features[s] weight^T + bias)
    mean     = sum_s exp(log_weight[s]) log f_s(y)

A normaliser costs a product with all V symbols, and most of the S terms add next to nothing. First the term
of largest weight is normalised in every mixture; then all terms are bounded (`hardpp.ops.mixture_bounds`).
Terms are left out whose bounds together are at most `tolerance` of the first term, so log p(y) is too low by
at most that many nats, and a posterior probability is off by no more than that. A mean needs a bound from
below, which may be loose, as it enters by its size and not exponentially.

The gradient of each term is its share in log p(y) or in the mean, times a common factor. The shares are known
while the probabilities of a chunk are in memory, so gradients are added up in the forward pass. If the
incoming gradients are different after all, they are computed again (`hardpp.ops.row_log_softmax`).

Shapes: I mixtures of S terms, R = I S rows of features, H features, V symbols.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.broadcast_shape import broadcast_shape
from hardpp.ops.linear_log_softmax import CHUNK_BYTES, KEPT_BYTES, NEGLIGIBLE, linear_log_softmax, room_for
from hardpp.ops.mixture_bounds import Terms, lower_bounds, upper_bounds
from hardpp.ops.row_log_softmax import row_log_softmax
from hardpp.ops.row_softmax import RowGradients, RowSoftmax

# Gradients may be off by this many tolerances, relatively: they are far less exact than log p(y) anyway.
GRADIENTS = 10


def pruned_mixture_terms(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    value: Tensor,
    log_weight: Tensor,
    dim: int,
    *,
    tolerance: float,
    average: bool = False,
    chunk_bytes: int = CHUNK_BYTES,
    kept_bytes: int = KEPT_BYTES,
    negligible: float = NEGLIGIBLE,
) -> Tensor:
    """Log-probabilities of one symbol under the terms of mixtures; minus infinity for terms left out.

    Differentiable twice, as `linear_log_softmax` is. If a gradient may be asked for, the forward pass
    computes it, too. Which terms count is read from the device: on CUDA a few host synchronisations a chunk.

    Args:
        features, weight, bias, chunk_bytes, kept_bytes: as for `linear_log_softmax`.
        value: int64 symbols, (...), the same for all terms of a mixture.
        log_weight: of the terms, in nats, (...); need not be normalised, minus infinity leaves a term
            out. Taken as a constant.
        dim: the dim of the terms, negative, not counting H. The last dim, if it is another one, holds the
            neighbours (`hardpp.ops.mixture_bounds`).
        tolerance: nats, by which log p(y) may be too low, or the mean be off.
        average: the sum is a mean: the weights sum to one, and terms left out are 0.
        negligible: share of a mixture whose gradients may be skipped; at least ten times the tolerance.

    Returns:
        (...), float32 or wider. If a row of features belongs to several mixtures, no term is left out.
    """
    tensors = (features, weight, bias, value, log_weight)
    options: dict[str, Any] = {"chunk_bytes": chunk_bytes, "kept_bytes": kept_bytes}
    if has_torch_function(tensors):
        options |= {"tolerance": tolerance, "average": average, "negligible": negligible}
        return handle_torch_function(pruned_mixture_terms, tensors, *tensors, dim, **options)
    shape = broadcast_shape(features.shape[:-1], value.shape, log_weight.shape)
    varies = value.dim() >= -dim and value.shape[dim] > 1
    if features.shape[:-1] != shape or varies or not features.numel():
        return linear_log_softmax(features, weight, bias, value, **options, negligible=negligible)
    index = value.expand(shape).reshape(-1, 1)
    flat = features.reshape(len(index), -1)
    log_weight = log_weight.detach().expand(shape)
    negligible = max(negligible, GRADIENTS * tolerance)
    counting = Counting(shape, dim, tolerance, negligible)
    visit = partial(_visit_mean if average else _visit_mixture, counting=counting)
    room = room_for(flat, weight, bias, chunk_bytes, kept_bytes)
    room = room._replace(kept=min(room.kept, len(index) // shape[dim]))  # for the term of largest weight
    out = row_log_softmax(flat, weight, bias, index, log_weight, visit, room, negligible)
    return out.reshape(shape)


class Counting(NamedTuple):
    """Which terms are of one mixture, and what decides which of them count."""

    shape: torch.Size
    dim: int
    tolerance: float
    negligible: float


def _visit_mixture(
    softmax: RowSoftmax, sums: RowGradients | None, log_weight: Tensor, counting: Counting
) -> Tensor | None:
    shape, dim, tolerance, negligible = counting
    terms = Terms(shape, dim, log_weight)
    log_weight = terms.log_weight.to(torch.promote_types(terms.log_weight.dtype, softmax.out.dtype))
    largest, first = log_weight.max(1)
    mixture = (largest > -torch.inf).nonzero().squeeze(1)
    row = terms.row.gather(1, first.unsqueeze(1)).squeeze(1)[mixture]
    log_z = softmax.normalise(row)
    all_kept = softmax.used == len(row)
    total = log_weight.new_full(largest.shape, -torch.inf)
    total[mixture] = largest[mixture] + softmax.out[row, 0]
    bound = torch.zeros_like(softmax.out[:, 0])  # no probability is above 1
    if tolerance > 0 and all_kept:
        bound = upper_bounds(softmax, terms, mixture, row, log_z)
    rest = (log_weight + terms.by_mixture(bound)).masked_fill(log_weight == -torch.inf, -torch.inf)
    rest = rest.scatter(1, first.unsqueeze(1), -torch.inf)
    rest, order = rest.sort(1)
    left_out = rest.logcumsumexp(1) <= total.unsqueeze(1) + (log(tolerance) if tolerance else -torch.inf)
    counts = (left_out | (rest == -torch.inf)).logical_not_()
    ordered, rows = log_weight.gather(1, order), terms.row.gather(1, order)
    if sums is None or not all_kept:
        softmax.normalise(rows.T.flip(0)[counts.T.flip(0)])  # the largest of every mixture first
        return None

    def posterior(mixtures: slice, terms: Tensor) -> Tensor:
        joint = ordered[mixtures] + terms
        total[mixtures] = torch.logaddexp(total[mixtures], joint.logsumexp(1))
        return (joint - total[mixtures].unsqueeze(1)).exp()

    share = torch.zeros_like(softmax.out)
    _sweep(softmax, sums, rows, counts, posterior, negligible, share)
    share[row, 0] = (largest[mixture] + softmax.out[row, 0] - total[mixture]).exp().to(share.dtype)
    sums.add(row, softmax.index, share, softmax.kept, mean_known=len(softmax.kept.mean_weight) > 0)
    return share


def _visit_mean(
    softmax: RowSoftmax, sums: RowGradients | None, log_weight: Tensor, counting: Counting
) -> Tensor | None:
    shape, dim, tolerance, negligible = counting
    terms = Terms(shape, dim, log_weight)
    softmax.out.zero_()
    loss = terms.log_weight.exp() * -terms.by_mixture(lower_bounds(softmax, terms))
    loss, order = loss.masked_fill(terms.log_weight == -torch.inf, 0.0).sort(1)
    counts = (loss.cumsum(1) > tolerance) | loss.isnan()
    rows, probability = terms.row.gather(1, order), terms.log_weight.exp().gather(1, order)
    if sums is None:
        softmax.normalise(rows[counts])
        return None
    share = torch.zeros_like(softmax.out)
    _sweep(softmax, sums, rows, counts, lambda mixtures, _: probability[mixtures], negligible, share)
    return share


# Normalises the terms that count, whole mixtures at a time, and adds up their gradients while their
# probabilities are in memory, assuming that the incoming gradients are the terms' shares, written to `share`.
def _sweep(
    softmax: RowSoftmax,
    sums: RowGradients,
    rows: Tensor,
    counts: Tensor,
    shares: Callable[[slice, Tensor], Tensor],
    negligible: float,
    share: Tensor,
) -> None:
    per_mixture = counts.sum(1).tolist()
    size = max(softmax.chunk, *per_mixture, 1)
    scratch, spare = softmax.two_chunks(size)
    start, held = 0, 0
    for stop, (n, following) in enumerate(pairwise([*per_mixture, size + 1]), start=1):
        held += n
        if held + following <= size:
            continue
        mixtures, start, n, held = slice(start, stop), stop, held, 0
        counting = counts[mixtures]
        row = rows[mixtures][counting]
        probs = scratch[: len(row)]
        softmax.normalise_chunk(row, probs)
        terms = softmax.out[rows[mixtures], 0].masked_fill(~counting, -torch.inf)
        each = shares(mixtures, terms).masked_fill(~counting, 0.0)
        # In every mixture the smallest terms are skipped that are negligible together.
        ascending, order = each.sort(1)
        skipped = torch.zeros_like(counting).scatter_(1, order, ascending.cumsum(1) <= negligible)
        share[row, 0] = each[counting].to(share.dtype)
        left = (~skipped[counting]).nonzero().squeeze(1)
        if len(left) < len(row):
            probs = torch.index_select(probs, 0, left, out=spare[: len(left)])
        sums.add_chunk(row[left], softmax.index[row[left]], share[row[left]], probs)
