"""Sums over all paths of a lattice: at every step a path stays in its state or moves a few states ahead.

    path            s[0] = 0,  s[t + 1] = s[t] + j[t],  0 <= j < J       (j: the transition)
    weight          = sum_t arcs[t, s[t], j[t]] + end[s[N]]
    total           = sum over all paths of exp(weight)

Every monotonic alignment is such a lattice (`hardpp.ops.lattice_grid`, `hardpp.ops.lattice_ctc`). Only the
steps are a loop; states and data are computed together (`hardpp.ops.lattice_messages`). The gradient of the
log total is the probability of each arc and of each end, from one backward pass; it is exactly zero where no
path exists (`hardpp.ops.lattice_derivatives`).

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III; Graves (2012), Sequence Transduction
with Recurrent Neural Networks, for the lattice of a transducer.
Shapes: ... = data, N steps, S states, J transitions, K draws. An arc of minus infinity does not exist.
"""

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.broadcast_shape import broadcast_shape
from hardpp.ops.lattice_derivatives import LogTotal
from hardpp.ops.lattice_messages import arc_marginals, behind, data_first, forward_messages, steps_first
from hardpp.ops.own_derivatives import run


def log_total(arcs: Tensor, end: Tensor) -> Tensor:
    """The log of the sum over all paths; it can be differentiated any number of times, in reverse mode.

    Args:
        arcs: (..., N, S, J), in nats.
        end: (..., S), the weight of ending in each state; minus infinity where a path may not end.

    Returns:
        (...), minus infinity where no path exists.
    """
    if has_torch_function((arcs, end)):  # a Function drops subclasses, and with them Pyro's provenance
        tracked: Tensor = handle_torch_function(log_total, (arcs, end), arcs, end)
        return tracked
    if end.shape[:-1] != arcs.shape[:-3]:
        data = broadcast_shape(end.shape[:-1], arcs.shape[:-3])
        arcs, end = arcs.expand(*data, *arcs.shape[-3:]), end.expand(*data, end.shape[-1])
    if not arcs.shape[-3]:
        return end[..., 0]
    total: Tensor
    total, _ = run(LogTotal, steps_first(arcs), end)
    return total


def arc_probabilities(arcs: Tensor, end: Tensor) -> Tensor:
    """The probability that a path takes each arc, (..., N, S, J); all zeros where no path exists."""
    with torch.no_grad():
        by_step = steps_first(arcs)
        alpha, _ = forward_messages(by_step)
        return data_first(arc_marginals(by_step, alpha, end))


@torch.no_grad()
def best_path(arcs: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The transitions (..., N) int64 of a path of the greatest weight (any one of several), and that, (...).

    Arguments as for `log_total`.
    """
    by_step = steps_first(arcs)
    alpha, centres = forward_messages(by_step, torch.maximum)
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
    by_step = steps_first(arcs)
    alpha, _ = forward_messages(by_step)
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


# The weights of arriving in every state by every transition, (..., S, J).
def _incoming(alpha: Tensor, weights: Tensor) -> Tensor:
    return torch.stack([behind(each, j) for j, each in enumerate(alpha + weights)], -1)


def _at(state: Tensor, transitions: int) -> Tensor:
    return state[..., None, None].expand(*state.shape, 1, transitions)


# An index of the last dim in proportion to its weight, by a number in [0, 1).
def _draw(weights: Tensor, uniform: Tensor) -> Tensor:
    log_probs = weights.log_softmax(-1).nan_to_num(nan=0.0, posinf=0.0, neginf=-torch.inf)
    reached = log_probs.exp().cumsum(-1)
    return (reached <= uniform.unsqueeze(-1) * reached[..., -1:]).sum(-1)
