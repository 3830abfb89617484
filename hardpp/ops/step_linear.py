"""A linear map that is applied at every step of a loop, with one product for the gradient of its weight.

    y[t] = W x[t] + c[t],    dW = sum over t of dy[t] x[t]^T

Written plainly, the backward pass of a loop makes a product of the size of W at each step and adds it to the
last. Here the steps only put down dy[t] and x[t]; when all are there, dW is one product of T times as many
rows, which reads and writes W once. Gradients with respect to x and c are taken step by step as usual, and so
are all of them where the backward pass is itself to be differentiated.

Shapes: R rows, I inputs, O outputs, T steps.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp.ops.own_derivatives import is_transformed


class StepLinear:
    """x -> W x + c, made anew for every run of a loop and applied at each of its steps.

    Derivatives of any order can be taken. Within `torch.func`, forward mode, `torch.compile` and autocast the
    products are made plainly.

    Args:
        weight: (O, I).
    """

    def __init__(self, weight: Tensor):
        self.weight, self.steps = weight, None
        if weight.requires_grad and torch.is_grad_enabled() and not is_transformed(weight):
            self.steps = _Steps()
            self.weight = _Weight.apply(weight, self.steps)  # type: ignore[no-untyped-call]

    def __call__(self, inputs: Tensor, constant: Tensor) -> Tensor:
        """Maps inputs (R, I) and a constant (R, O) or (O,) to (R, O)."""
        if self.steps is None or is_transformed(inputs) or is_transformed(constant):
            return torch.addmm(constant, inputs, self.weight.t())
        return _Step.apply(inputs, constant, self.weight, self.steps)  # type: ignore[no-untyped-call]


# What the steps of one backward pass have put down; a pass that never reaches the weight leaves some behind.
class _Steps:
    def __init__(self) -> None:
        self.backward_pass: int | None = None
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def put_down(self, inputs: Tensor, gradient: Tensor) -> None:
        now = torch._C._current_graph_task_id()
        if self.backward_pass != now:
            self.backward_pass, self.inputs, self.gradients = now, [], []
        self.inputs.append(inputs.detach())  # whose graph would hold these steps, and never be freed
        self.gradients.append(gradient)

    def gradient(self) -> Tensor | None:
        if self.backward_pass != torch._C._current_graph_task_id():
            return None
        inputs, gradients = torch.cat(self.inputs), torch.cat(self.gradients)
        self.backward_pass, self.inputs, self.gradients = None, [], []
        return gradients.t() @ inputs


# The weight, to the backward pass of which all steps lead.
class _Weight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        parts = [each for each in (gradient, ctx.steps.gradient()) if each is not None]
        return (sum(parts[1:], parts[0]) if parts else None), None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, constant: Tensor, weight: Tensor, steps: _Steps) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.steps, ctx.shared = steps, constant.dim() == 1
        ctx.set_materialize_grads(False)
        return torch.addmm(constant, inputs, weight.t())

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        if gradient is None:
            return None, None, None, None
        inputs, weight = ctx.saved_tensors
        of_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
        of_constant = (gradient.sum(0) if ctx.shared else gradient) if ctx.needs_input_grad[1] else None
        if torch.is_grad_enabled():  # the backward pass is itself differentiated
            return of_inputs, of_constant, gradient.t() @ inputs, None
        ctx.steps.put_down(inputs, gradient)
        return of_inputs, of_constant, None, None
