"""Factors: tables of log values whose dims are named by letters.

A sample site is a factor over discrete variables. Factors are multiplied (`align` adds log values), summed
over a variable (`without`), evaluated at given values (`at`), and a value is chosen of a variable (`largest`,
`drawn`). `hardpp.ops.elimination` builds the sum over all variables from these.

Everything stays in log space. A log-einsum multiplies in linear space, and loses the gradient once factors of
one variable differ by 16 nats in float32.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

# Stands for log 0 inside sums: minus infinity less minus infinity would be no number, and this is zero.
IMPOSSIBLE = -1e30

DRAWS = "*"  # the dim of K draws; no variable and no plate has this letter

Plates = Mapping[str, frozenset[str]]  # by variable, the letters of the plates it is in
Reduce = Callable[[Tensor, list[int]], Tensor]  # (log values, dims to drop) -> log values


class Factor(NamedTuple):
    """log_value has one dim a letter of dims, in that order."""

    log_value: Tensor
    dims: str


def spread(factor: Factor, dims: str) -> Tensor:
    """The factor's values with one dim a letter of dims, of size 1 where the factor has none."""
    value, held = factor
    if held == dims:
        return value
    order = [held.index(d) for d in dims if d in held]
    if order != sorted(order):
        value = value.permute(order)
    return (
        value if len(held) == len(dims) else value[tuple([slice(None) if d in held else None for d in dims])]
    )


def align(factors: Iterable[Factor]) -> Factor:
    """The sum of the log values: a product of factors (at least one), over the union of their dims."""
    factors = sorted(factors, key=lambda factor: len(factor.dims))  # the sum stays small for long
    if not factors:
        raise ValueError("a product of no factors")
    # The order of the largest factor: a table whose dims stay where they are is read fastest.
    dims = factors[-1].dims
    dims = "".join(sorted({d for factor in factors for d in factor.dims if d not in dims})) + dims
    total = spread(factors[0], dims)
    for factor in factors[1:]:
        total = total + spread(factor, dims)
    return Factor(total, dims)


def without(factor: Factor, dims: Iterable[str], reduce: Reduce = torch.sum) -> Factor:
    """Reduces dims of a factor: the product over a plate, or with `log_sum` the sum over a variable."""
    axes = [factor.dims.index(d) for d in dims if d in factor.dims]
    if not axes:
        return factor
    kept = "".join([d for i, d in enumerate(factor.dims) if i not in axes])
    return Factor(reduce(factor.log_value, axes), kept)


def log_sum(value: Tensor, axes: list[int]) -> Tensor:
    """logsumexp, which of nothing but log 0 is `IMPOSSIBLE` or less, and has a gradient even there."""
    return value.clamp_min(IMPOSSIBLE).logsumexp(axes)


def infinite(value: Tensor) -> Tensor:
    """Replaces impossible values of `log_sum` by their true value, minus infinity, without a gradient."""
    return value.masked_fill(value < IMPOSSIBLE / 2, -torch.inf)


def at(factor: Factor, values: Mapping[str, Factor]) -> Factor:
    """The factor at given values of some of its variables, over the dims of those values and its other dims.

    The values are, by variable, index tensors over plates (and over draws, or other dims).
    """
    if not any(d in values for d in factor.dims):
        return factor
    shared = "".join(sorted(set().union(*[values[d].dims for d in factor.dims if d in values])))
    read = [d for d in factor.dims if d in values or d in shared]
    kept = "".join([d for d in factor.dims if d not in read])
    table = spread(factor, "".join(read) + kept)
    index = [
        spread(values.get(d) or Factor(torch.arange(size, device=table.device), d), shared)
        for d, size in zip(read, table.shape, strict=False)
    ]
    return Factor(table[tuple(index)], shared + kept)


def largest(variable: str, factor: Factor) -> Factor:
    """Chooses the first of the largest values."""
    axis = factor.dims.index(variable)
    return Factor(factor.log_value.argmax(axis), factor.dims.replace(variable, ""))


def drawn(plates: Plates, sizes: Mapping[str, int]) -> Callable[[str, Factor], Factor]:
    """Chooses at random, for every draw and every element of the variable's plates anew.

    The sizes are those of every plate, and K under `DRAWS`.
    """

    def choose(variable: str, factor: Factor) -> Factor:
        dims = DRAWS + "".join(sorted(d for d in plates[variable] if sizes[d] > 1))
        logits = spread(factor, dims + variable)
        logits = logits.expand(*[sizes[d] for d in dims], logits.shape[-1])
        # The largest of logits with Gumbel noise is a draw from their softmax, without asking the host.
        wait = torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_()
        return Factor((logits - wait.clamp_min(torch.finfo(wait.dtype).tiny).log()).argmax(-1), dims)

    return choose
