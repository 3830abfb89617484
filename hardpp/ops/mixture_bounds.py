"""Cheap bounds of the log-probabilities that the terms of a mixture give to a symbol.

    f_s(y) = softmax(features[s] weight^T + bias)[y]

A normaliser costs a product with all V symbols. But the log normaliser is convex in the features, so it lies
above its tangent at any other features h0,

    log Z(h) >= log Z(h0) + mean_weight(h0) . (h - h0),      mean_weight(h0) = sum_v softmax_v(h0) weight[v]

which bounds every f_s(y) from above by a product with H numbers. The tangents are those at the term of
largest weight of the mixture and of its neighbours (for alignments: the other steps of the same sentence, one
of which has probably attended to the same position); the tightest one counts. A tangent costs nothing extra:
the gradient of the term of largest weight has the same product in it. From below,

    log f_s(y) >= logit[y] - log sum_v exp(bias[v]) - max_v |weight[v]| |features[s]|

Shapes: I mixtures of S terms, R = I S rows of features, H features, V symbols, T neighbours.
"""

import torch
from torch import Tensor

from hardpp.ops.row_softmax import RowSoftmax

TANGENTS = 64  # at most so many neighbours' tangents bound a term


class Terms:
    """The mixtures (I) and their terms (I, S), among rows in another order."""

    def __init__(self, shape: torch.Size, dim: int, log_weight: Tensor):
        self.shape, self.dim = shape, dim
        self.row = self.by_mixture(torch.arange(log_weight.numel(), device=log_weight.device))
        self.log_weight = self.by_mixture(log_weight)

    def by_mixture(self, terms: Tensor) -> Tensor:
        """Maps values of rows, (R) or of the full shape, to (I, S)."""
        return terms.reshape(self.shape).movedim(self.dim, -1).reshape(-1, self.shape[self.dim])

    def of_mixtures(self, each: Tensor) -> Tensor:
        """Maps values of mixtures (I, n) to the order of the rows, with a dim of size 1 for the terms."""
        others = list(self.shape)
        others[self.dim] = 1
        return each.reshape(*others, each.shape[-1])


def upper_bounds(softmax: RowSoftmax, terms: Terms, mixture: Tensor, row: Tensor, log_z: Tensor) -> Tensor:
    """Upper bounds (R) of log-probabilities, by tangents.

    Args:
        softmax: has kept the probabilities of the rows `row` and of no others.
        terms: all of them.
        mixture: (n,) the mixtures that have a tangent.
        row: (n,) the row of features where each tangent is taken.
        log_z: (n,) the log normalisers there.
    """
    dtype, H = softmax.out.dtype, softmax.features.shape[-1]
    mean = softmax.find_mean_weights()  # (n, H)
    height = log_z - (mean * softmax.features[row]).sum(-1)  # of the tangent at the origin
    slope = mean.new_zeros(len(terms.row), H)
    slope[mixture] = mean
    intercept = mean.new_full((len(terms.row), 1), -torch.inf)
    intercept[mixture] = height.unsqueeze(1)
    features = softmax.features.reshape(*terms.shape, H).to(dtype)
    slope, intercept = terms.of_mixtures(slope), terms.of_mixtures(intercept)
    every = slice(None, None, -(-slope.shape[-2] // TANGENTS))
    tangents = features @ slope[..., every, :].mT + intercept[..., every, :].mT  # (..., T)
    return (_logits(softmax, terms, features) - tangents.amax(-1)).clamp(max=0).reshape(-1)


def lower_bounds(softmax: RowSoftmax, terms: Terms) -> Tensor:
    """Lower bounds (R) of log-probabilities."""
    dtype = softmax.out.dtype
    weight, bias = softmax.weight.to(dtype), softmax.bias.to(dtype)
    features = softmax.features.reshape(*terms.shape, -1).to(dtype)
    reach = weight.norm(dim=1).amax() * features.norm(dim=-1) + bias.logsumexp(0)
    return (_logits(softmax, terms, features) - reach).reshape(-1)


# The logits of the symbols, in the order of the rows.
def _logits(softmax: RowSoftmax, terms: Terms, features: Tensor) -> Tensor:
    symbol = terms.by_mixture(softmax.index)[:, 0]  # (I)
    symbol_weight = terms.of_mixtures(softmax.weight[symbol].to(features.dtype))
    offset = terms.of_mixtures(softmax.bias[symbol].to(features.dtype).unsqueeze(1)).squeeze(-1)
    return (features * symbol_weight).sum(-1) + offset
