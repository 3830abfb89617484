"""The messages of a lattice, and the probabilities of its arcs, which are computed from them.

    alpha[0, s]     = 0 in state 0, minus infinity in all others
    alpha[t + 1, s] = log sum_j exp(alpha[t, s - j] + arcs[t, s - j, j])                      (forward)
    beta[t, s]      = log sum_j exp(arcs[t, s, j] + beta[t + 1, s + j]),   beta[N] = end     (backward)
    log total       = log sum_s exp(alpha[N, s] + end[s])
    p(arc)          = exp(alpha[t, s] + arcs[t, s, j] + beta[t + 1, s + j]) / total

Messages are centred every few steps and arcs normalised step by step, so float32 does not drift over many
steps.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III.
Shapes: ... = data, N steps, S states, J transitions. Steps and transitions come first, (N, J, ..., S), so
that what one step reads lies together.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.ops.broadcast_shape import broadcast_shape

Plus = Callable[..., Tensor]  # (weights, weights, out=)
CENTRED = 4  # every so many steps messages are centred


def steps_first(arcs: Tensor) -> Tensor:
    """Brings arcs (..., N, S, J) to the order (N, J, ..., S)."""
    return arcs.movedim(-3, 0).movedim(-1, 1).contiguous()


def data_first(by_step: Tensor) -> Tensor:
    """Brings arcs (N, J, ..., S) back to the order (..., N, S, J)."""
    return by_step.movedim(1, -1).movedim(0, -3)


def forward_messages(
    by_step: Tensor, plus: Plus = torch.logaddexp, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The messages (N + 1, ..., S) and what was subtracted from each but the first, (N + 1, ...).

    Args:
        by_step: the arcs, (N, J, ..., S), without gradient.
        plus: adds the weights of two paths that meet; takes `out`.
        start: (..., S), the first message, if paths begin elsewhere than in state 0.
    """
    N, J, *_, S = by_step.shape
    first = first_message(by_step) if start is None else start
    messages = first.new_empty(N + 1, *first.shape)
    messages[0] = first
    centres = messages.new_zeros(messages.shape[:-1])
    leaving, arriving, weights, met = [], [], [], []
    for j in range(1, min(J, S)):
        leaving.append(messages[:-1, ..., : S - j].unbind(0))
        arriving.append(messages[1:, ..., j:].unbind(0))
        weights.append(by_step[:, j, ..., : S - j].unbind(0))
        met.append(messages.new_empty(*messages.shape[1:-1], S - j))
    rows, each = messages.unbind(0), by_step[:, 0].unbind(0)
    for t, row in enumerate(rows[1:]):
        torch.add(rows[t], each[t], out=row)
        for before, after, weight, of_two in zip(leaving, arriving, weights, met, strict=True):
            torch.add(before[t], weight[t], out=of_two)
            plus(after[t], of_two, out=after[t])
        if (t + 1) % CENTRED == 0:
            centres[t + 1] = _centre(row)
    return messages, centres


def first_message(by_step: Tensor) -> Tensor:
    """The message before the first step, (..., S): 0 in state 0, minus infinity in all others."""
    return pad(by_step.new_zeros(*by_step.shape[2:-1], 1), (0, by_step.shape[-1] - 1), value=-torch.inf)


def arc_marginals(by_step: Tensor, alpha: Tensor, end: Tensor) -> Tensor:
    """Probabilities of arcs (N, J, ..., S), from the forward messages; all zeros where no path exists."""
    return arc_marginals_and_message(by_step, alpha, end)[0]


def arc_marginals_and_message(by_step: Tensor, alpha: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The same, and the backward message before the first step, (..., S), up to a constant."""
    N, J, *data, S = by_step.shape
    data = list(broadcast_shape(data, end.shape[:-1]))
    by_step, alpha = by_step.expand(N, J, *data, S), alpha.expand(N + 1, *data, S)
    beta = by_step.new_empty(N + 1, *data, S)
    beta[N] = end
    leaving, arriving, weights, met = [], [], [], []
    for j in range(1, min(J, S)):
        leaving.append(beta[1:, ..., j:].unbind(0))
        arriving.append(beta[:-1, ..., : S - j].unbind(0))
        weights.append(by_step[:, j, ..., : S - j].unbind(0))
        met.append(by_step.new_empty(*data, S - j))
    rows, each = beta.unbind(0), by_step[:, 0].unbind(0)
    for t in reversed(range(N)):
        torch.add(rows[t + 1], each[t], out=rows[t])
        for before, after, weight, of_two in zip(leaving, arriving, weights, met, strict=True):
            torch.add(before[t], weight[t], out=of_two)
            torch.logaddexp(after[t], of_two, out=after[t])
        if t % CENTRED == 0:
            _centre(rows[t])
    joint = by_step + alpha[:-1].unsqueeze(1)  # (N, J, ..., S)
    for j in range(J):
        joint[:, j, ..., : max(S - j, 0)] += beta[1:, ..., j:]
        joint[:, j, ..., max(S - j, 0) :] = -torch.inf
    largest = joint.amax((1, -1), keepdim=True).clamp_(min=torch.finfo(joint.dtype).min)
    joint.sub_(largest).exp_()
    return joint.div_(joint.sum((1, -1), keepdim=True).clamp_(min=torch.finfo(joint.dtype).tiny)), beta[0]


# Takes the largest value off a message, in place, and returns it; nothing where no path arrives.
def _centre(message: Tensor) -> Tensor:
    centre = message.amax(-1)
    centre = centre.masked_fill_(centre == -torch.inf, 0.0)
    message.sub_(centre.unsqueeze(-1))
    return centre


def behind(values: Tensor, j: int, nothing: float = -torch.inf) -> Tensor:
    """For every state the value of the state j states behind it, which moves there."""
    return pad(values[..., : values.shape[-1] - j], (j, 0), value=nothing) if j else values


def ahead(values: Tensor, j: int, nothing: float = -torch.inf) -> Tensor:
    """For every state the value of the state j states ahead of it."""
    return pad(values[..., j:], (0, j), value=nothing) if j else values
