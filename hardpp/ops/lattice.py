"""Sums over all paths of a lattice: at every step a path stays in its state or moves a few states ahead.

    path            s[0] = 0,  s[t + 1] = s[t] + j[t],  0 <= j < J       (j: the transition)
    weight          = sum_t arcs[t, s[t], j[t]] + end[s[N]]
    alpha[t + 1, s] = log sum_j exp(alpha[t, s - j] + arcs[t, s - j, j])                      (forward)
    beta[t, s]      = log sum_j exp(arcs[t, s, j] + beta[t + 1, s + j]),   beta[N] = end     (backward)
    log total       = log sum_s exp(alpha[N, s] + end[s])
    p(arc)          = exp(alpha[t, s] + arcs[t, s, j] + beta[t + 1, s + j]) / total

Every monotonic alignment is such a lattice (`hardpp.ops.lattice_grid`, `hardpp.ops.lattice_ctc`). Only the
steps are a loop; states and data are computed together. The gradient of the log total is p(arc), from one
backward pass; it is exactly zero where no path exists. Messages are centred at every step and arcs normalised
step by step, so float32 does not drift over many steps.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III; Graves (2012), Sequence Transduction
with Recurrent Neural Networks, for the lattice of a transducer.
Shapes: ... = data, N steps, S states, J transitions, K draws. An arc of minus infinity does not exist.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad


def log_total(arcs: Tensor, end: Tensor) -> Tensor:
    """The log of the sum over all paths; it can be differentiated once, with respect to the arcs.

    Args:
        arcs: (..., N, S, J), in nats.
        end: (..., S), the weight of ending in each state; minus infinity where a path may not end.

    Returns:
        (...), minus infinity where no path exists.
    """
    total: Tensor = _LogTotal.apply(arcs, end)  # type: ignore[no-untyped-call]
    return total


def arc_probabilities(arcs: Tensor, end: Tensor) -> Tensor:
    """The probability that a path takes each arc, (..., N, S, J); all zeros where no path exists."""
    with torch.no_grad():
        by_step = _by_step(arcs)
        alpha, _ = _forward(by_step, _plus)
        return _by_datum(_marginals(by_step, alpha, end))


@torch.no_grad()
def best_path(arcs: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The transitions (..., N) int64 of a path of the greatest weight (any one of several), and that, (...).

    Arguments as for `log_total`.
    """
    by_step = _by_step(arcs)
    alpha, centres = _forward(by_step, torch.maximum)
    weight, state = (alpha[-1] + end).max(-1)
    taken = []
    for before, weights in zip(reversed(alpha[:-1]), reversed(by_step), strict=True):
        arriving = _incoming(before, weights).gather(-2, _at(state, len(weights))).squeeze(-2)  # (..., J)
        taken.append(arriving.argmax(-1))
        state = (state - taken[-1]).clamp(min=0)
    return torch.stack(taken[::-1], -1), weight + centres.sum(0)


@torch.no_grad()
def draw_paths(arcs: Tensor, end: Tensor, draws: int) -> Tensor:
    """The transitions (K, ..., N) int64 of independent paths, each in proportion to its weight.

    Forward filtering, backward sampling. Arguments as for `log_total`, and K. Where no path exists the draws
    mean nothing.
    """
    by_step = _by_step(arcs)
    alpha, _ = _forward(by_step, _plus)
    shape = (draws, *end.shape[:-1], len(by_step) + 1)
    uniform = torch.rand(shape, dtype=arcs.dtype, device=arcs.device)
    state = _draw((alpha[-1] + end).expand(*shape[:-1], -1), uniform[..., -1])
    taken = []
    for t in reversed(range(len(by_step))):
        arriving = _incoming(alpha[t], by_step[t]).expand(*shape[:-1], -1, -1)
        arriving = arriving.gather(-2, _at(state, arriving.shape[-1])).squeeze(-2)  # (K, ..., J)
        taken.append(_draw(arriving, uniform[..., t]))
        state = (state - taken[-1]).clamp(min=0)
    return torch.stack(taken[::-1], -1)


class _LogTotal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, arcs: Tensor, end: Tensor) -> Tensor:
        by_step = _by_step(arcs)
        alpha, centres = _forward(by_step, _plus)
        ctx.save_for_backward(by_step, alpha, end)
        return (alpha[-1] + end).logsumexp(-1) + centres.sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _by_datum(_marginals(*ctx.saved_tensors) * gradient.unsqueeze(-1)), None


# Steps and transitions first, so that what one step reads lies together: (N, J, ..., S).
def _by_step(arcs: Tensor) -> Tensor:
    return arcs.detach().movedim(-3, 0).movedim(-1, 1).contiguous()


def _by_datum(by_step: Tensor) -> Tensor:
    return by_step.movedim(1, -1).movedim(0, -3)


Plus = Callable[[Tensor, Tensor], Tensor]


def _plus(left: Tensor, right: Tensor) -> Tensor:
    return torch.logaddexp(left, right)


# Messages (N + 1, ..., S), each with 0 as its largest value, and what was subtracted from it, (N + 1, ...).
def _forward(by_step: Tensor, plus: Plus) -> tuple[Tensor, Tensor]:
    alpha = by_step.new_full(by_step.shape[2:], -torch.inf)
    alpha[..., 0] = 0.0
    messages, centres = [alpha], [by_step.new_zeros(alpha.shape[:-1])]
    for weights in by_step:
        leaving = alpha + weights  # (J, ..., S) by the state that a path leaves
        alpha = reduce(plus, [_shifted(each, j) for j, each in enumerate(leaving)])
        centre = alpha.amax(-1)
        centre = centre.masked_fill(centre == -torch.inf, 0.0)
        alpha = alpha - centre.unsqueeze(-1)
        messages.append(alpha)
        centres.append(centre)
    return torch.stack(messages), torch.stack(centres)


# Probabilities of arcs (N, J, ..., S), from the messages of the forward pass.
def _marginals(by_step: Tensor, alpha: Tensor, end: Tensor) -> Tensor:
    beta = end
    onward = []  # (J, ..., S) by the state that a path leaves
    for weights in reversed(by_step):
        ahead = torch.stack([weight + _ahead(beta, j) for j, weight in enumerate(weights)])
        onward.append(ahead)
        beta = ahead.logsumexp(0)
        centre = beta.amax(-1, keepdim=True)
        beta = beta - centre.masked_fill(centre == -torch.inf, 0.0)
    joint = alpha[:-1].unsqueeze(1) + torch.stack(onward[::-1])  # (N, J, ..., S)
    largest = joint.amax((1, -1), keepdim=True)
    joint = (joint - largest.masked_fill(largest == -torch.inf, 0.0)).exp()
    return joint / joint.sum((1, -1), keepdim=True).clamp(min=torch.finfo(joint.dtype).tiny)


# Values of states, moved j states on.
def _shifted(weights: Tensor, j: int) -> Tensor:
    return pad(weights[..., : weights.shape[-1] - j], (j, 0), value=-torch.inf) if j else weights


# Values of the states that lie j states further on.
def _ahead(weights: Tensor, j: int) -> Tensor:
    return pad(weights[..., j:], (0, j), value=-torch.inf) if j else weights


# The weights of arriving in every state by every transition, (..., S, J).
def _incoming(alpha: Tensor, weights: Tensor) -> Tensor:
    return torch.stack([_shifted(each, j) for j, each in enumerate(alpha + weights)], -1)


def _at(state: Tensor, transitions: int) -> Tensor:
    return state[..., None, None].expand(*state.shape, 1, transitions)


# An index of the last dim in proportion to its weight, by a number in [0, 1).
def _draw(weights: Tensor, uniform: Tensor) -> Tensor:
    log_probs = weights.log_softmax(-1).nan_to_num(nan=0.0, posinf=0.0, neginf=-torch.inf)
    reached = log_probs.exp().cumsum(-1)
    return (reached <= uniform.unsqueeze(-1) * reached[..., -1:]).sum(-1)
