"""Log-probabilities of values at rows of a linear readout, and how they are differentiated.

    out[r, u] = log softmax(features[r] weight^T + bias)[value[r, u]]

A `Visit` decides which rows are normalised (`hardpp.ops.row_softmax`). The backward pass skips rows whose
incoming gradient is negligible. A visit may also have computed the gradients already, if it can predict the
incoming ones up to one common factor; they are computed again if the prediction was wrong. The second
derivative skips nothing (`hardpp.ops.row_second_derivatives`).

Within `torch.func.vmap` the rows of all elements are one batch, as far as they share the readout; nothing is
kept or predicted there.

Shapes: R rows of features, U values scored at each row, H features, V symbols.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.ops.own_derivatives import InDims, batch_first, one_by_one, run
from hardpp.ops.row_second_derivatives import RowSecondDerivatives
from hardpp.ops.row_softmax import Kept, Room, RowGradients, RowSoftmax

PREDICTED = 1e-6  # relative, in sum: how far incoming gradients may be from the predicted ones

# Normalises rows, given the log weights of all. It may add up gradients in advance, and then returns the
# incoming ones (R, U) it assumed.
Visit = Callable[[RowSoftmax, RowGradients | None, Tensor | None], Tensor | None]


def row_log_softmax(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    index: Tensor,
    log_weight: Tensor | None,
    visit: Visit,
    room: Room,
    negligible: float,
) -> Tensor:
    """Log-probabilities (R, U) of values (R, U) at the rows (R, H) that `visit` normalises.

    A visit without log weights normalises every row, each by itself.
    """
    needed = tuple(learns(each) for each in (features, weight, bias))
    plan = Plan(visit, room, negligible, needed)
    out: Tensor
    out, *_ = run(RowLogSoftmax, features, weight, bias, index, log_weight, plan)
    return out


def learns(*tensors: Tensor) -> bool:
    """Whether a gradient may be asked for any of the tensors."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


class Plan(NamedTuple):
    """What is done at once, and what is left out."""

    visit: Visit
    room: Room
    negligible: float
    needed: tuple[bool, ...]  # whether features, weight and bias want a gradient


class RowLogSoftmax(torch.autograd.Function):
    """The log-probabilities, then what is kept for the backward pass and gradients computed in advance."""

    @staticmethod
    def forward(
        features: Tensor, weight: Tensor, bias: Tensor, index: Tensor, log_weight: Tensor | None, plan: Plan
    ) -> tuple[Tensor | None, ...]:
        needed = plan.needed
        with torch.autocast(features.device.type, enabled=False):
            softmax = RowSoftmax(features, weight, bias, index, plan.room)
            sums = RowGradients(features, weight, bias, plan.room, needed) if any(needed) else None
            predicted = plan.visit(softmax, sums, log_weight)
        if predicted is None or sums is None:
            return softmax.out, *softmax.filled
        return softmax.out, *softmax.filled, predicted, *sums.gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        ctx.mark_non_differentiable(*[each for each in output[1:] if each is not None])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:4], *output[1:])
        ctx.plan = inputs[5]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return (None,) * 6
        features, weight, bias, index, *kept = ctx.saved_tensors
        plan = ctx.plan._replace(needed=ctx.needs_input_grad[:3])
        of_inputs: tuple[Tensor | None, ...] = run(
            RowDerivatives, features, weight, bias, gradient, index, plan, *kept
        )
        return *of_inputs, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[tuple[Any, ...], InDims]:
        features, weight, bias, index, log_weight, plan = inputs
        plan = plan._replace(room=plan.room._replace(kept=0), needed=(False,) * 3)
        if in_dims[1] is not None or in_dims[2] is not None or log_weight is not None:
            return one_by_one(RowLogSoftmax, info, in_dims, *inputs[:5], plan)
        n = info.batch_size
        if in_dims[0] is None:  # the elements are further values of each row
            values = index.movedim(in_dims[3], -1)
            found = run(RowLogSoftmax, features, weight, bias, values.flatten(1), None, plan)
            return (found[0].unflatten(1, values.shape[1:]), *found[1:]), (2, None, None, None)
        rows = batch_first(features, in_dims[0], n), batch_first(index, in_dims[3], n)
        out, probs, slot, mean_weight = run(
            RowLogSoftmax, rows[0].flatten(0, 1), weight, bias, rows[1].flatten(0, 1), None, plan
        )
        shape = rows[0].shape[:2]
        return (out.unflatten(0, shape), probs, slot.unflatten(0, shape), mean_weight), (0, None, 0, None)


class RowDerivatives(torch.autograd.Function):
    """The gradients of features, weight and bias; of those that are not needed, None."""

    @staticmethod
    def forward(
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        gradient: Tensor,
        index: Tensor,
        plan: Plan,
        *kept: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        predicted, *gradients = kept[3:] or (None,)
        factor = None if predicted is None else _common_factor(gradient, predicted)
        if factor is None:
            matter = _rows_that_matter(gradient, plan.negligible)
            sums = RowGradients(features, weight, bias, plan.room, plan.needed)
            with torch.autocast(features.device.type, enabled=False):
                _add_up(sums, matter, index, gradient, Kept(*kept[:3]))  # type: ignore[arg-type]
            gradients = sums.gradients
        else:
            gradients = [None if d is None else d * factor for d in gradients]
        inputs = features, weight, bias
        return tuple(None if d is None else d.to(t.dtype) for d, t in zip(gradients, inputs, strict=True))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:5])
        ctx.room, ctx.inputs = inputs[5].room, len(inputs)

    @staticmethod
    def backward(ctx: Any, *along: Tensor | None) -> tuple[Tensor | None, ...]:
        *tensors, index = ctx.saved_tensors
        of_inputs: tuple[Tensor | None, ...] = run(
            RowSecondDerivatives, *tensors, *along, index, ctx.room, ctx.needs_input_grad[:4]
        )
        return *of_inputs, *(None,) * (ctx.inputs - 4)

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[tuple[Any, ...], InDims]:
        plan = inputs[5]
        if plan.needed[1] or plan.needed[2] or any(in_dims[i] is not None for i in (1, 2, 6)):
            return one_by_one(RowDerivatives, info, in_dims, *inputs)
        rows = {i: batch_first(inputs[i], in_dims[i], info.batch_size) for i in (0, 3, 4, 7)}
        flat = [rows[i].flatten(0, 1) if i in rows else each for i, each in enumerate(inputs[:9])]
        # A row is negligible among those of its own element only, and predictions are of other sums.
        flat[5] = plan._replace(negligible=0.0)
        found = run(RowDerivatives, *flat)
        return (found[0].unflatten(0, rows[0].shape[:2]), None, None), (0, None, None)


# The number that all predicted gradients are to be multiplied by; None if there is no such number.
def _common_factor(gradient: Tensor, predicted: Tensor) -> Tensor | None:
    factor = gradient.sum() / predicted.sum()
    off = (gradient - factor * predicted).abs().sum()
    return factor if bool(off <= PREDICTED * gradient.abs().sum()) else None


def _add_up(sums: RowGradients, matter: Tensor, index: Tensor, gradient: Tensor, kept: Kept) -> None:
    slot, used, with_mean = kept.slot, len(kept.probs), len(kept.mean_weight)
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
