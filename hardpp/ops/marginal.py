"""Sums of products over discrete variables, in log space.

A factor is a tensor of log values whose dims are named by letters. Variables are eliminated one by
one with `logsumexp`, in the order given: on a chain in program order that is the forward recursion,
and its gradient stays right however far the factors disagree. (Multiplying in linear space, as a
log-einsum does, loses the gradient once factors of one variable differ by 16 nats in float32.)
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Factor(NamedTuple):
    """log_value has one dim a letter of dims, in that order."""

    log_value: Tensor
    dims: str


def spread(factor: Factor, dims: str) -> Tensor:
    """The factor's values with one dim a letter of dims, of size 1 where the factor has none."""
    value = factor.log_value.permute([factor.dims.index(d) for d in dims if d in factor.dims])
    return value[tuple(slice(None) if d in factor.dims else None for d in dims)]


def align(factors: Iterable[Factor]) -> Factor:
    """The sum of the log values: a product of factors, over the union of their dims."""
    factors = list(factors)
    dims = "".join(sorted({d for factor in factors for d in factor.dims}))
    total: Tensor | None = None
    for factor in factors:
        value = spread(factor, dims)
        total = value if total is None else total + value
    if total is None:
        raise ValueError("a product of no factors")
    return Factor(total, dims)


def without(factor: Factor, dims: Iterable[str], *, log_space: bool) -> Factor:
    """Sums dims out of a factor: its values (`log_space`) or its log values (a product over a plate)."""
    axes = [factor.dims.index(d) for d in dims if d in factor.dims]
    if not axes:
        return factor
    value = _log_sum(factor.log_value, axes) if log_space else factor.log_value.sum(axes)
    return Factor(value, "".join(d for i, d in enumerate(factor.dims) if i not in axes))


# `logsumexp` of nothing but minus infinity has a gradient of NaN; an impossible sum has none.
def _log_sum(value: Tensor, axes: list[int]) -> Tensor:
    impossible = value.detach().amax(axes, keepdim=True) == -torch.inf
    total = value.masked_fill(impossible, 0.0).logsumexp(axes, keepdim=True)
    return total.masked_fill(impossible, -torch.inf).squeeze(axes)


def eliminate(factors: list[Factor], variable: str, plates: frozenset[str]) -> list[Factor]:
    """Sums one variable out of the product of the factors that hold it.

    Args:
        factors: the factors of a model.
        variable: the letter of the variable.
        plates: letters of the plates the variable is outside of; factors inside them are first
            multiplied over the plate.
    """
    holding = [without(f, plates, log_space=False) for f in factors if variable in f.dims]
    others = [f for f in factors if variable not in f.dims]
    return [*others, without(align(holding), variable, log_space=True)] if holding else others
