"""Log-probabilities of values at rows of a linear readout, and how they are differentiated.

    out[r, u] = log softmax(features[r] weight^T + bias)[value[r, u]]

A `Visit` decides which rows are normalised (`hardpp.ops.row_softmax`). The backward pass skips rows whose
incoming gradient is negligible. A visit may also have computed the gradients already, if it can predict the
incoming ones up to one common factor; they are computed again if the prediction was wrong.

Shapes: R rows of features, U values scored at each row, H features, V symbols.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hardpp.ops.row_softmax import Kept, Room, RowGradients, RowSoftmax

PREDICTED = 1e-6  # relative, in sum: how far incoming gradients may be from the predicted ones

# Normalises rows. It may add up gradients in advance, and then returns the incoming ones (R, U) it assumed.
Visit = Callable[[RowSoftmax, RowGradients | None], Tensor | None]


def row_log_softmax(
    features: Tensor, weight: Tensor, bias: Tensor, index: Tensor, visit: Visit, room: Room, negligible: float
) -> Tensor:
    """Log-probabilities (R, U) of values (R, U) at the rows (R, H) that `visit` normalises."""
    out: Tensor = _RowLogSoftmax.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, index, visit, room, negligible, learns(features, weight, bias)
    )
    return out


def learns(*tensors: Tensor) -> bool:
    """Whether a gradient may be asked for any of the tensors."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


class _RowLogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        index: Tensor,
        visit: Visit,
        room: Room,
        negligible: float,
        predict: bool,
    ) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            softmax = RowSoftmax(features, weight, bias, index, room)
            sums = RowGradients(features, weight, bias, room, ctx.needs_input_grad[:3]) if predict else None
            predicted = visit(softmax, sums)
        gradients = (None,) * 4 if predicted is None or sums is None else (predicted, *sums.gradients)
        ctx.save_for_backward(features, weight, bias, index, *softmax.kept, *gradients)
        ctx.room, ctx.negligible, ctx.used = room, negligible, softmax.used
        return softmax.out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, index, *rest = ctx.saved_tensors
        kept, (predicted, *gradients) = Kept(*rest[:3]), rest[3:]
        factor = None if predicted is None else _common_factor(gradient, predicted)
        if factor is None:
            matter = _rows_that_matter(gradient, ctx.negligible)
            sums = RowGradients(features, weight, bias, ctx.room, ctx.needs_input_grad[:3])
            with torch.autocast(features.device.type, enabled=False):
                _add_up(sums, matter, index, gradient, kept, ctx.used)
            gradients = sums.gradients
        else:
            gradients = [None if d is None else d * factor for d in gradients]
        of_inputs = [
            None if d is None else d.to(t.dtype)
            for d, t in zip(gradients, ctx.saved_tensors[:3], strict=True)
        ]
        return *of_inputs, None, None, None, None, None


# The number that all predicted gradients are to be multiplied by; None if there is no such number.
def _common_factor(gradient: Tensor, predicted: Tensor) -> Tensor | None:
    factor = gradient.sum() / predicted.sum()
    off = (gradient - factor * predicted).abs().sum()
    return factor if bool(off <= PREDICTED * gradient.abs().sum()) else None


def _add_up(
    sums: RowGradients, matter: Tensor, index: Tensor, gradient: Tensor, kept: Kept, used: int
) -> None:
    slot, with_mean = kept.slot, len(kept.mean_weight)
    if not used or (used == len(index) and not with_mean):
        sums.add(_indices(matter), index, gradient, kept if used else None)
        return
    if with_mean:
        sums.add(_indices(matter & (slot >= 0) & (slot < with_mean)), index, gradient, kept, mean_known=True)
    sums.add(_indices(matter & (slot >= with_mean)), index, gradient, kept)
    sums.add(_indices(matter & (slot < 0)), index, gradient, None)


# A gradient of nan or infinity is kept: nan compares false, and no finite sum reaches the rest.
def _rows_that_matter(gradient: Tensor, negligible: float) -> Tensor:
    size, row = gradient.abs().sum(1).sort()
    together = negligible * size.sum().clamp(max=torch.finfo(size.dtype).max)
    dropped = (size <= negligible * size[-1:]) & (size.cumsum(0) <= together)
    return torch.empty_like(dropped).scatter_(0, row, dropped).logical_not_()


def _indices(mask: Tensor) -> Tensor:
    return mask.nonzero().squeeze(1)
