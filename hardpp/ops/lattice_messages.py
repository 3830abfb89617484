"""The messages of a lattice, and the probabilities of its arcs, which are computed from them.

    alpha[0, s]     = 0 in state 0, minus infinity in all others
    alpha[t + 1, s] = log sum_j exp(alpha[t, s - j] + arcs[t, s - j, j])                      (forward)
    beta[t, s]      = log sum_j exp(arcs[t, s, j] + beta[t + 1, s + j]),   beta[N] = end     (backward)
    log total       = log sum_s exp(alpha[N, s] + end[s])
    p(arc)          = exp(alpha[t, s] + arcs[t, s, j] + beta[t + 1, s + j]) / total

Messages are centred at every step and arcs normalised step by step, so float32 does not drift over many
steps.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III.
Shapes: ... = data, N steps, S states, J transitions. Steps and transitions come first, (N, J, ..., S), so
that what one step reads lies together.
"""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import pad

Plus = Callable[[Tensor, Tensor], Tensor]


def steps_first(arcs: Tensor) -> Tensor:
    """Brings arcs (..., N, S, J) to the order (N, J, ..., S)."""
    return arcs.movedim(-3, 0).movedim(-1, 1).contiguous()


def data_first(by_step: Tensor) -> Tensor:
    """Brings arcs (N, J, ..., S) back to the order (..., N, S, J)."""
    return by_step.movedim(1, -1).movedim(0, -3)


def forward_messages(
    by_step: Tensor, plus: Plus = torch.logaddexp, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The messages (N + 1, ..., S), each with 0 as its largest value, and what was subtracted, (N + 1, ...).

    `plus` adds the weights of two paths that meet; `start` (..., S) is the first message, if paths begin
    elsewhere than in state 0.
    """
    alpha = first_message(by_step) if start is None else start
    messages, centres = [alpha], [by_step.new_zeros(alpha.shape[:-1])]
    for weights in by_step:
        leaving = alpha + weights  # (J, ..., S) by the state that a path leaves
        alpha = reduce(plus, [behind(each, j) for j, each in enumerate(leaving)])
        centre = alpha.amax(-1)
        centre = centre.masked_fill(centre == -torch.inf, 0.0)
        alpha = alpha - centre.unsqueeze(-1)
        messages.append(alpha)
        centres.append(centre)
    return torch.stack(messages), torch.stack(centres)


def first_message(by_step: Tensor) -> Tensor:
    """The message before the first step, (..., S): 0 in state 0, minus infinity in all others."""
    return pad(by_step.new_zeros(*by_step.shape[2:-1], 1), (0, by_step.shape[-1] - 1), value=-torch.inf)


def arc_marginals(by_step: Tensor, alpha: Tensor, end: Tensor) -> Tensor:
    """Probabilities of arcs (N, J, ..., S), from the forward messages; all zeros where no path exists."""
    return arc_marginals_and_message(by_step, alpha, end)[0]


def arc_marginals_and_message(by_step: Tensor, alpha: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The same, and the backward message before the first step, (..., S), up to a constant."""
    beta = end
    onward = []  # (J, ..., S) by the state that a path leaves
    for weights in reversed(by_step):
        onward.append(torch.stack([weight + ahead(beta, j) for j, weight in enumerate(weights)]))
        beta = onward[-1].logsumexp(0)
        centre = beta.amax(-1, keepdim=True)
        beta = beta - centre.masked_fill(centre == -torch.inf, 0.0)
    joint = alpha[:-1].unsqueeze(1) + torch.stack(onward[::-1])  # (N, J, ..., S)
    largest = joint.amax((1, -1), keepdim=True)
    joint = (joint - largest.masked_fill(largest == -torch.inf, 0.0)).exp()
    return joint / joint.sum((1, -1), keepdim=True).clamp(min=torch.finfo(joint.dtype).tiny), beta


def behind(values: Tensor, j: int, nothing: float = -torch.inf) -> Tensor:
    """For every state the value of the state j states behind it, which moves there."""
    return pad(values[..., : values.shape[-1] - j], (j, 0), value=nothing) if j else values


def ahead(values: Tensor, j: int, nothing: float = -torch.inf) -> Tensor:
    """For every state the value of the state j states ahead of it."""
    return pad(values[..., j:], (0, j), value=nothing) if j else values
