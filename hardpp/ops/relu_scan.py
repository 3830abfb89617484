"""A recurrence of rectified linear units, with a derivative of its own.

    h[t] = relu(gates[t] + W h[t-1]),    h[-1] = 0

Each step of the derivative is a product and two cheap operations; the gradient of W is one product for all
steps. Where a loop has computed the states already, while it drew what the next input depends on, only the
derivative is taken here.

Source: Le, Jaitly and Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units.
Shapes: N steps, R rows, H features.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp.ops.known_layer import through_rectifier


def relu_scan(gates: Tensor, weight: Tensor, states: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The states (N + 1, R, H), beginning with the zeros before the first step, and those after each step.

    Derivatives of any order can be taken, in plain reverse mode.

    Args:
        gates: what inputs and biases add at each step, (N, R, H).
        weight: W (H, H).
        states: (N + 1, R, H) where they are known already; they are not computed or checked.
    """
    every, after = _ReluScan.apply(gates, weight, states)  # type: ignore[no-untyped-call]
    return every, after


class _ReluScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, states: Tensor | None) -> tuple[Tensor, Tensor]:
        if states is None:
            states = torch.cat([gates.new_zeros(1, *gates.shape[1:]), gates])
            for t in range(len(gates)):
                if t:
                    states[t + 1].addmm_(states[t], weight.t())
                states[t + 1].relu_()
        every, after = states.view_as(states), states[1:]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, every)
        return every, after

    @staticmethod
    def backward(
        ctx: Any, of_every: Tensor | None, of_after: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None]:
        weight, every = ctx.saved_tensors
        before, after = every[:-1], every[1:]
        if of_every is not None:
            of_after = of_every[1:] if of_after is None else of_every[1:] + of_after
        if of_after is None or not len(after):
            return None, None, None
        later, found = None, []
        for t in range(len(after) - 1, -1, -1):
            of_state = of_after[t] if later is None else torch.addmm(of_after[t], later, weight)
            later = through_rectifier(of_state, after[t])
            found.append(later)
        of_gates = torch.stack(found[::-1])
        of_weight = of_gates.flatten(0, 1).t() @ before.flatten(0, 1) if ctx.needs_input_grad[1] else None
        return of_gates, of_weight, None
