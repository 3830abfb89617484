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

Shapes: N = I S terms of I mixtures, H features, V symbols; T neighbours.
"""

from functools import partial
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
from hardpp.ops.row_softmax import RowSoftmax

TANGENTS = 64  # at most so many neighbours' tangents bound a term


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

    Differentiable once, as `linear_log_softmax` is. Which terms count is read from the device: on CUDA two
    host synchronisations in the forward pass, and up to four in the backward pass.

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
        negligible: what the backward pass may skip; at least the tolerance.

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
    visit = partial(_visit_mean if average else _visit_mixture, terms=terms, tolerance=tolerance)
    room = room_for(flat, weight, bias, chunk_bytes, kept_bytes)
    out = chosen_log_softmax(flat, weight, bias, index, visit, room, max(negligible, tolerance))
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


def _visit_mixture(softmax: RowSoftmax, terms: _Terms, tolerance: float) -> None:
    log_weight = terms.log_weight.to(torch.promote_types(terms.log_weight.dtype, softmax.out.dtype))
    largest, first = log_weight.max(1)
    mixture = (largest > -torch.inf).nonzero().squeeze(1)
    row = terms.row.gather(1, first.unsqueeze(1)).squeeze(1)[mixture]
    log_z = softmax.normalise(row)
    found = log_weight.new_full(largest.shape, -torch.inf)
    found[mixture] = largest[mixture] + softmax.out[row, 0]
    bound = torch.zeros_like(softmax.out[:, 0])  # nothing is more probable than certain
    if tolerance > 0 and softmax.used == len(row):
        bound = _bounds(softmax, terms, mixture, row, log_z)
    rest = (log_weight + terms.by_mixture(bound)).masked_fill(log_weight == -torch.inf, -torch.inf)
    rest = rest.scatter(1, first.unsqueeze(1), -torch.inf)
    rest, order = rest.sort(1)
    left_out = rest.logcumsumexp(1) <= found.unsqueeze(1) + (log(tolerance) if tolerance else -torch.inf)
    counts = (left_out | (rest == -torch.inf)).logical_not_()
    # The largest of every mixture first: there may not be room to keep the probabilities of all.
    softmax.normalise(terms.row.gather(1, order).T.flip(0)[counts.T.flip(0)])


def _visit_mean(softmax: RowSoftmax, terms: _Terms, tolerance: float) -> None:
    softmax.out.zero_()
    dtype = softmax.out.dtype
    weight, bias = softmax.weight.to(dtype), softmax.bias.to(dtype)
    features = softmax.features.reshape(*terms.shape, -1).to(dtype)
    reach = weight.norm(dim=1).amax() * features.norm(dim=-1) + bias.logsumexp(0)
    lowest = (_logits(softmax, terms, features) - reach).reshape(-1)
    share = terms.log_weight.exp() * -terms.by_mixture(lowest)
    share, order = share.masked_fill(terms.log_weight == -torch.inf, 0.0).sort(1)
    counts = (share.cumsum(1) > tolerance) | share.isnan()
    softmax.normalise(terms.row.gather(1, order).T.flip(0)[counts.T.flip(0)])


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
