"""The derivatives of a lattice's log total, of any order.

    total              = log sum over paths of exp(weight of the path)
    d total / d arc    = p(arc)                                                        (first)
    d p(arc) / d v     = p(arc) (E[V | arc] - E[V]),    V(path) = sum of v over its arcs    (second, along v)

A path that takes the arc (t, s, j) has collected A[t, s] on average before, and B[t + 1, s + j] after it:

    E[V | arc]         = A[t, s] + v[arc] + B[t + 1, s + j]
    A[t + 1, s]        = mean of A[t, s - j] + v[arc] over the arcs that arrive in s,    A[0] = 0
    B[t, s]            = mean of v[arc] + B[t + 1, s + j] over the arcs that leave s,    B[N] = 0

Here v is centred at every step, so E[V] = 0. The second derivative is made of plain operations on p(arc), and
so is every further one; nothing of it is computed unless it is asked for.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III, for p(arc); Li and Eisner (2009),
First- and Second-Order Expectation Semirings, for the means over paths.
Shapes: ... = data, N steps, S states, J transitions; arcs are (N, J, ..., S) (`hardpp.ops.lattice_messages`).
"""

from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from hardpp.ops.lattice_messages import ahead, arc_marginals, behind, forward_messages
from hardpp.ops.own_derivatives import run


class LogTotal(torch.autograd.Function):
    """The log total (...) of arcs (N, J, ..., S) and ends (..., S), and the forward messages."""

    @staticmethod
    def forward(by_step: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        alpha, centres = forward_messages(by_step)
        return (alpha[-1] + end).logsumexp(-1) + centres.sum(0), alpha

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, Tensor | None]:
        if gradient is None:
            return None, None
        by_step, end, alpha = ctx.saved_tensors
        probability = run(ArcProbabilities, by_step, end, alpha)
        of_end = _arrivals(probability[-1]) * gradient.unsqueeze(-1) if ctx.needs_input_grad[1] else None
        return probability * gradient.unsqueeze(-1), of_end

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, tuple[int, int]]:
        return run(LogTotal, *_as_data(info.batch_size, in_dims, inputs)), (0, 1)


class ArcProbabilities(torch.autograd.Function):
    """The probabilities (N, J, ..., S) of arcs and ends, whose forward messages are given as a constant."""

    @staticmethod
    def forward(by_step: Tensor, end: Tensor, alpha: Tensor) -> Tensor:
        return arc_marginals(by_step, alpha, end)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None]:
        (probability,) = ctx.saved_tensors
        return *_covariances(probability, along), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return run(ArcProbabilities, *_as_data(info.batch_size, in_dims, inputs)), 2


# The derivatives of p(arc) along v, (N, J, ..., S), and of p(end), (..., S).
def _covariances(probability: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    along = along - (probability * along).sum((1, -1), keepdim=True)
    steps = list(zip(probability, along, strict=True))
    before = [torch.zeros_like(along[0, 0])]  # A
    for p, v in steps:
        before.append(_share(_arrivals(p * (before[-1] + v)), _arrivals(p)))
    after = torch.zeros_like(along[0, 0])  # B
    onward = []
    for p, v in reversed(steps):
        onward.append(v + torch.stack([ahead(after, j, 0.0) for j in range(len(p))]))
        after = _share((p * onward[-1]).sum(0), p.sum(0))
    of_arcs = probability * (torch.stack(before[:-1]).unsqueeze(1) + torch.stack(onward[::-1]))
    return of_arcs, _arrivals(probability[-1]) * before[-1]


# What arrives in each state (..., S) of what leaves it by each transition, (J, ..., S).
def _arrivals(leaving: Tensor) -> Tensor:
    return reduce(add, [behind(each, j, 0.0) for j, each in enumerate(leaving)])


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.clamp(min=torch.finfo(whole.dtype).tiny)


# A batch dim of vmap as one more dim of the data, of arcs (N, J, ..., S), ends and messages (N + 1, ..., S).
def _as_data(size: int, in_dims: tuple[int | None, ...], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    moved = []
    for each, dim, place in zip(inputs, in_dims, (2, 0, 1), strict=False):
        own = each.unsqueeze(place) if dim is None else each.movedim(dim, place)
        moved.append(own.expand(*own.shape[:place], size, *own.shape[place + 1 :]))
    return moved
