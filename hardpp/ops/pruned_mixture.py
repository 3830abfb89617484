"""The terms of a mixture over a large vocabulary, of which only those that count are normalised.

    log p(y) = log sum_s exp(log_weight[s]) f_s(y),      f_s = softmax(features[s] weight^T + bias)
    mean     = sum_s exp(log_weight[s]) log f_s(y)

A normaliser costs a product with all V symbols, and most of the S terms add next to nothing. The log
normaliser is convex in the features, so it lies above its tangent at any other features h0,

    log Z(h) >= log Z(h0) + mean_weight(h0) . (h - h0),      mean_weight(h0) = sum_v softmax_v(h0) weight[v]

which bounds every f_s(y) from above by a product with H numbers. First the term of largest weight is
normalised in every mixture, and its tangent taken; then all terms are bounded, by the tightest of the
tangents of their own mixture and its neighbours (for alignments: the other steps of the same sentence,
one of which has likely looked at the same position). The terms are left out whose bounds together are at
most `tolerance` of the first term, so log p(y) comes out too low by at most that many nats, and a posterior
probability is off by no more than that. A tangent is no loss of time: the gradient of the term of
largest weight has the same product in it.

A mean needs a bound from below, and any will do, as it enters by its size and not exponentially:

    log f(y) >= logit[y] - log sum_v exp(bias[v]) - max_v |weight[v]| |h|

While the probabilities of a chunk are there, so are the shares of its terms in log p(y) or the mean, which
are what their gradients will be multiplied with. The gradients are therefore added up in the forward pass;
should the incoming ones turn out to be others (but for one common factor), they are formed anew.

Shapes: N = I S terms of I mixtures, H features, V symbols; T neighbours.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.linear_log_softmax import (
    CHUNK_BYTES,
    KEPT_BYTES,
    NEGLIGIBLE,
    chosen_log_softmax,
    linear_log_softmax,
    room_for,
)
from hardpp.ops.row_softmax import RowGradients, RowSoftmax

TANGENTS = 64  # at most so many neighbours' tangents bound a term
GRADIENTS = (
    10  # times the tolerance, relatively: what a step's gradient tells is far less exact than log p(y)
)


def linear_mixture_terms(
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

    Differentiable once, as `linear_log_softmax` is. Where a gradient may be asked for the forward pass forms
    it, too. Which terms count is read from the device: on CUDA a few host synchronisations a chunk.

    Args:
        features: (..., H), with a dim of terms.
        weight: (V, H).
        bias: (V,).
        value: int64 symbols, (...), the same for all terms of a mixture.
        log_weight: of the terms, in nats, (...); need not be normalised, minus infinity leaves a term
            out. Taken as a constant.
        dim: the dim of the terms, negative, not counting H. The dim right of all others, if it is another
            one, is that of the neighbours.
        tolerance: nats, by which log p(y) may be too low, or the mean be off.
        average: whether the mean is wanted; the weights must then sum to one, and terms left out are 0.
        chunk_bytes: see `linear_log_softmax`, as the following.
        kept_bytes: room for probabilities.
        negligible: share of a mixture whose gradients may be skipped; at least ten times the tolerance.

    Returns:
        (...), float32 or wider. Where rows of features stand for several mixtures, every term is there.
    """
    tensors = (features, weight, bias, value, log_weight)
    options: dict[str, Any] = {"chunk_bytes": chunk_bytes, "kept_bytes": kept_bytes}
    if has_torch_function(tensors):
        options |= {"tolerance": tolerance, "average": average, "negligible": negligible}
        return handle_torch_function(linear_mixture_terms, tensors, *tensors, dim, **options)
    shape = torch.broadcast_shapes(features.shape[:-1], value.shape, log_weight.shape)
    varies = value.dim() >= -dim and value.shape[dim] > 1
    if features.shape[:-1] != shape or varies or not features.numel():
        return linear_log_softmax(features, weight, bias, value, **options, negligible=negligible)
    index = value.expand(shape).reshape(-1, 1)
    flat = features.reshape(len(index), -1)
    terms = _Terms(shape, dim, log_weight.detach().expand(shape))
    negligible = max(negligible, GRADIENTS * tolerance)
    visit = partial(
        _visit_mean if average else _visit_mixture, terms=terms, tolerance=tolerance, negligible=negligible
    )
    room = room_for(flat, weight, bias, chunk_bytes, kept_bytes)
    room = room._replace(kept=min(room.kept, len(terms.row)))  # for the term of largest weight
    out = chosen_log_softmax(flat, weight, bias, index, visit, room, negligible)
    return out.reshape(shape)


class _Terms:
    """The mixtures (I) and their terms (I, S), among rows that stand in another order."""

    def __init__(self, shape: torch.Size, dim: int, log_weight: Tensor):
        self.shape, self.dim = shape, dim
        self.row = self.by_mixture(torch.arange(log_weight.numel(), device=log_weight.device))
        self.log_weight = self.by_mixture(log_weight)

    def by_mixture(self, terms: Tensor) -> Tensor:
        """(N) or of the shape of all -> (I, S)."""
        return terms.reshape(self.shape).movedim(self.dim, -1).reshape(-1, self.shape[self.dim])

    def of_mixtures(self, each: Tensor) -> Tensor:
        """(I, F) -> as the rows stand, with one dim of size 1 for the terms: (..., 1, ..., F)."""
        others = list(self.shape)
        others[self.dim] = 1
        return each.reshape(*others, each.shape[-1])


def _visit_mixture(
    softmax: RowSoftmax, sums: RowGradients | None, terms: _Terms, tolerance: float, negligible: float
) -> Tensor | None:
    log_weight = terms.log_weight.to(torch.promote_types(terms.log_weight.dtype, softmax.out.dtype))
    largest, first = log_weight.max(1)
    mixture = (largest > -torch.inf).nonzero().squeeze(1)
    row = terms.row.gather(1, first.unsqueeze(1)).squeeze(1)[mixture]
    log_z = softmax.normalise(row)
    kept = softmax.used == len(row)
    found = log_weight.new_full(largest.shape, -torch.inf)
    found[mixture] = largest[mixture] + softmax.out[row, 0]
    bound = torch.zeros_like(softmax.out[:, 0])  # nothing is more probable than certain
    if tolerance > 0 and kept:
        bound = _bounds(softmax, terms, mixture, row, log_z)
    rest = (log_weight + terms.by_mixture(bound)).masked_fill(log_weight == -torch.inf, -torch.inf)
    rest = rest.scatter(1, first.unsqueeze(1), -torch.inf)
    rest, order = rest.sort(1)
    left_out = rest.logcumsumexp(1) <= found.unsqueeze(1) + (log(tolerance) if tolerance else -torch.inf)
    counts = (left_out | (rest == -torch.inf)).logical_not_()
    ordered, rows = log_weight.gather(1, order), terms.row.gather(1, order)
    if sums is None or not kept:
        softmax.normalise(rows.T.flip(0)[counts.T.flip(0)])  # the largest of every mixture first
        return None

    def posterior(mixtures: slice, terms: Tensor) -> Tensor:
        joint = ordered[mixtures] + terms
        found[mixtures] = torch.logaddexp(found[mixtures], joint.logsumexp(1))
        return (joint - found[mixtures].unsqueeze(1)).exp()

    share = torch.zeros_like(softmax.out)
    _sweep(softmax, sums, rows, counts, posterior, negligible, share)
    share[row, 0] = (largest[mixture] + softmax.out[row, 0] - found[mixture]).exp().to(share.dtype)
    sums.add(row, softmax.index, share, softmax.kept, mean_known=len(softmax.kept.mean_weight) > 0)
    return share


def _visit_mean(
    softmax: RowSoftmax, sums: RowGradients | None, terms: _Terms, tolerance: float, negligible: float
) -> Tensor | None:
    softmax.out.zero_()
    dtype = softmax.out.dtype
    weight, bias = softmax.weight.to(dtype), softmax.bias.to(dtype)
    features = softmax.features.reshape(*terms.shape, -1).to(dtype)
    reach = weight.norm(dim=1).amax() * features.norm(dim=-1) + bias.logsumexp(0)
    lowest = (_logits(softmax, terms, features) - reach).reshape(-1)
    loss = terms.log_weight.exp() * -terms.by_mixture(lowest)
    loss, order = loss.masked_fill(terms.log_weight == -torch.inf, 0.0).sort(1)
    counts = (loss.cumsum(1) > tolerance) | loss.isnan()
    rows, probability = terms.row.gather(1, order), terms.log_weight.exp().gather(1, order)
    if sums is None:
        softmax.normalise(rows[counts])
        return None
    share = torch.zeros_like(softmax.out)
    _sweep(softmax, sums, rows, counts, lambda mixtures, _: probability[mixtures], negligible, share)
    return share


# Normalises the terms that count, whole mixtures at a time, and adds up their gradients while it has their
# probabilities, for incoming gradients that are the terms' shares of the mixture; these go into `share`.
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
    scratch = softmax.out.new_empty(2, size, len(softmax.weight))
    start, held = 0, 0
    for stop, (n, following) in enumerate(pairwise([*per_mixture, size + 1]), start=1):
        held += n
        if held + following <= size:
            continue
        mixtures, start, n, held = slice(start, stop), stop, held, 0
        counting = counts[mixtures]
        row = rows[mixtures][counting]
        probs = scratch[0, : len(row)]
        softmax.normalise_chunk(row, probs)
        terms = softmax.out[rows[mixtures], 0].masked_fill(~counting, -torch.inf)
        each = shares(mixtures, terms).masked_fill(~counting, 0.0)
        # Of every mixture the smallest are skipped that are negligible together.
        ascending, order = each.sort(1)
        skipped = torch.zeros_like(counting).scatter_(1, order, ascending.cumsum(1) <= negligible)
        share[row, 0] = each[counting].to(share.dtype)
        left = (~skipped[counting]).nonzero().squeeze(1)
        chosen = torch.index_select(probs, 0, left, out=scratch[1, : len(left)])
        sums.add_chunk(row[left], softmax.index[row[left]], share[row[left]], chosen)


# Upper bounds (N) of the log-probabilities, by the tangents at rows (n,) of the mixtures (n,).
def _bounds(softmax: RowSoftmax, terms: _Terms, mixture: Tensor, row: Tensor, log_z: Tensor) -> Tensor:
    dtype, H = softmax.out.dtype, softmax.features.shape[-1]
    mean = softmax.find_mean_weights()  # (n, H)
    height = log_z - (mean * softmax.features[row]).sum(-1)  # of the tangent above the origin
    slope = mean.new_zeros(len(terms.row), H)
    slope[mixture] = mean
    intercept = mean.new_full((len(terms.row), 1), -torch.inf)
    intercept[mixture] = height.unsqueeze(1)
    features = softmax.features.reshape(*terms.shape, H).to(dtype)
    slope, intercept = terms.of_mixtures(slope), terms.of_mixtures(intercept)
    every = slice(None, None, -(-slope.shape[-2] // TANGENTS))
    tangents = features @ slope[..., every, :].mT + intercept[..., every, :].mT  # (..., T)
    return (_logits(softmax, terms, features) - tangents.amax(-1)).clamp(max=0).reshape(-1)


# The logits of the symbols, as the rows stand.
def _logits(softmax: RowSoftmax, terms: _Terms, features: Tensor) -> Tensor:
    symbol = terms.by_mixture(softmax.index)[:, 0]  # (I)
    chosen = terms.of_mixtures(softmax.weight[symbol].to(features.dtype))
    offset = terms.of_mixtures(softmax.bias[symbol].to(features.dtype).unsqueeze(1)).squeeze(-1)
    return (features * chosen).sum(-1) + offset
