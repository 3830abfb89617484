"""A linear layer whose value is known already, and which is wanted with its derivatives.

    value = weight inputs + bias,    or the larger of that and 0

A loop that draws can run its layers step by step without any bookkeeping, in memory that it has once. Here
what it found enters the graph of derivatives as one layer over all steps: nothing is computed again, and the
gradient of the weights is one product instead of one a step.

Shapes: I inputs, O outputs; ... = any dims.
"""

from typing import Any

import torch
from torch import Tensor


def known_layer(
    value: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor, *, rectified: bool = False
) -> Tensor:
    """The value (..., O), with the derivatives of the layer that it was computed by.

    Derivatives of any order can be taken, in plain reverse mode.

    Args:
        value: what the layer gives; it is not computed or checked.
        inputs: (..., I).
        weight: (O, I).
        bias: broadcasts to (..., O).
        rectified: is it the value after a rectifier?
    """
    known: Tensor = _KnownLayer.apply(value, inputs, weight, bias, rectified)  # type: ignore[no-untyped-call]
    return known


class _KnownLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, value: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor, rectified: bool
    ) -> Tensor:
        ctx.save_for_backward(value if rectified else None, inputs, weight)
        ctx.bias = bias.shape
        ctx.set_materialize_grads(False)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return None, None, None, None, None
        value, inputs, weight = ctx.saved_tensors
        if value is not None:
            gradient = through_rectifier(gradient, value)
        _, for_inputs, for_weight, for_bias, _ = ctx.needs_input_grad
        return (
            None,
            gradient @ weight if for_inputs else None,
            gradient.flatten(0, -2).t() @ inputs.flatten(0, -2) if for_weight else None,
            gradient.sum_to_size(ctx.bias) if for_bias else None,
            None,
        )


def through_rectifier(gradient: Tensor, value: Tensor) -> Tensor:
    """The gradient before a rectifier of which the value is known: zero where that is not above zero."""
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, value, 0)
    return passed
