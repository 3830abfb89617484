"""Entropies and divergences that are known in closed form, of many distributions at once.

    entropy(q) = -E_q[log q],     kl(q, p) = E_q[log q - log p]

A sequential program has a site a step, and a formula of a few operations a site costs more time than the
numbers in it do. Categoricals of one shape are therefore stacked, a limited amount at a time; any other
distribution is asked by itself. A value that q never takes adds nothing, one that only p never takes
makes the divergence infinite.

Shapes: ... = batch of a distribution, S values.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from hardpp.ops.broadcast_shape import broadcast_shape

MOST = 2**18  # elements in a stack: what stays in a processor's cache


def categorical_entropy(log_q: Tensor) -> Tensor:
    """Of normalised log-probabilities (..., S): (...), in nats."""
    q = log_q.exp()
    return -(q * log_q.where(q > 0, q.new_zeros(()))).sum(-1)


def categorical_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p) of normalised log-probabilities (..., S): (...), in nats."""
    q = log_q.exp()
    return (q * (log_q - log_p).where(q > 0, q.new_zeros(()))).sum(-1)


def entropies(distributions: Sequence[Any]) -> list[Tensor | None]:
    """The entropy of each, of its batch shape, in nats; None where there is no closed form."""
    values: list[Tensor | None] = [None] * len(distributions)
    categorical = {i: (q.logits,) for i, q in enumerate(distributions) if isinstance(q, Categorical)}
    for i, q in enumerate(distributions):
        if i not in categorical:
            with suppress(NotImplementedError, AttributeError):  # torch's Multinomial, once it is expanded
                values[i] = q.entropy()
    _stacked(values, categorical, categorical_entropy)
    return values


def divergences(pairs: Sequence[tuple[Any, Any] | None]) -> list[Tensor | None]:
    """KL(q || p) of each pair (q, p), in nats; None where there is no closed form, or no pair."""
    values: list[Tensor | None] = [None] * len(pairs)
    categorical = {}
    for i, pair in enumerate(pairs):
        if pair is None:
            continue
        q, p = pair
        if isinstance(q, Categorical) and isinstance(p, Categorical):
            if q.logits.shape[-1] != p.logits.shape[-1]:  # a guide may leave out values
                continue
            categorical[i] = torch.broadcast_tensors(q.logits, p.logits)
            continue
        with suppress(NotImplementedError):
            if q.batch_shape != p.batch_shape:  # torch's Bernoulli wants them equal
                shape = broadcast_shape(q.batch_shape, p.batch_shape)
                q, p = q.expand(shape), p.expand(shape)
            values[i] = kl_divergence(q, p)
    _stacked(values, categorical, categorical_kl)
    return values


# A formula of the tensors of each entry, written into `values`.
def _stacked(
    values: list[Tensor | None], entries: Mapping[int, Sequence[Tensor]], formula: Callable[..., Tensor]
) -> None:
    groups: dict[Any, list[int]] = {}
    for i, tensors in entries.items():
        groups.setdefault((tensors[0].shape, *(each.dtype for each in tensors)), []).append(i)
    for (shape, *_), group in groups.items():
        size = max(1, MOST // max(1, shape.numel()))
        for some in (group[start : start + size] for start in range(0, len(group), size)):
            stacks = (torch.stack(column) for column in zip(*(entries[i] for i in some), strict=True))
            for i, each in zip(some, formula(*stacks).unbind(0), strict=True):
                values[i] = each
