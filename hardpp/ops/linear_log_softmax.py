"""Log-probabilities of chosen symbols under a linear readout, without its logits.

    out = log softmax(features weight^T + bias)[value]

The logits of all rows would be (..., V). Here they are formed for a chunk of rows at a time (see
`hardpp.ops.row_softmax`). The backward pass skips the rows of smallest incoming gradient, as long as each
is a negligible share of the largest and all of them together one of the sum: neither a row's gradient nor
a sum over rows is then off by more.

Where S rows are summed by a logsumexp, that gradient is a posterior probability, mostly tiny;
`hardpp.ops.pruned_mixture` then skips rows in the forward pass, too.

Shapes: H features, V symbols; ... = any dims, broadcast between features and value. Inside, N rows of
features and R values a row: a dim of the values alone goes into R, so that no product is repeated.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.precision import wide
from hardpp.ops.row_softmax import Kept, Room, RowGradients, RowSoftmax, chunks

CHUNK_BYTES = 8 * 2**20
KEPT_BYTES = 128 * 2**20
NEGLIGIBLE = 1e-6
FORESEEN = 1e-6  # relative, in sum: how far gradients may be from what was foreseen


def linear_log_softmax(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    value: Tensor,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    kept_bytes: int = KEPT_BYTES,
    negligible: float = NEGLIGIBLE,
) -> Tensor:
    """Log-probabilities, in nats, of symbols whose logits are linear in features.

    Products run in the dtype the arguments promote to, or that of `torch.autocast` where it is on; the
    softmax and the sums over chunks run in float32 or wider. Differentiable once. The backward pass asks
    the device which rows to keep: on CUDA one host synchronisation a call, however many rows it has, and
    two where only some of them were kept.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,); minus infinity rules a symbol out.
        value: int64 symbols, (...).
        chunk_bytes: size of the log-probabilities (rows, V) worked on at once, one row at least.
        kept_bytes: size of the probabilities (rows, V) that are kept for the backward pass; those of more
            rows are formed again.
        negligible: the backward pass skips the rows of smallest incoming gradient (in absolute value,
            summed over the row's values) that are each at most this share of the largest row's, and
            together at most this share of the sum over all rows; 0 skips exact zeros only.

    Returns:
        (...), float32 or wider.
    """
    tensors = (features, weight, bias, value)
    if has_torch_function(tensors):  # a Function drops subclasses, and with them Pyro's provenance
        options: dict[str, Any] = {
            "chunk_bytes": chunk_bytes,
            "kept_bytes": kept_bytes,
            "negligible": negligible,
        }
        return handle_torch_function(linear_log_softmax, tensors, *tensors, **options)
    shape = torch.broadcast_shapes(features.shape[:-1], value.shape)
    order, N, R = _rows_first(features.shape[:-1], shape)
    index = value.expand(shape).permute(order).reshape(N, R)
    flat = features.reshape(N, features.shape[-1])
    room = room_for(flat, weight, bias, chunk_bytes, kept_bytes if learns(flat, weight, bias) else 0)
    out = chosen_log_softmax(flat, weight, bias, index, _normalise_all, room, negligible)
    return _restored(out, order, shape)


def linear_draws(
    features: Tensor, weight: Tensor, bias: Tensor, shape: Sequence[int], *, chunk_bytes: int = CHUNK_BYTES
) -> Tensor:
    """Independent draws from softmax(features weight^T + bias), without gradient.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,).
        shape: of the draws; the leading dims of features broadcast to it.
        chunk_bytes: size of the probabilities (rows, V) held at once, one row at least.

    Returns:
        int64 symbols of that shape.
    """
    tensors = (features, weight, bias)
    if has_torch_function(tensors):
        return handle_torch_function(linear_draws, tensors, *tensors, shape, chunk_bytes=chunk_bytes)
    order, N, R = _rows_first(features.shape[:-1], shape)
    room = room_for(*tensors, chunk_bytes, 0)
    out = torch.empty(N, R, dtype=torch.int64, device=features.device)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        flat = features.reshape(N, features.shape[-1])
        weight, bias = weight.to(room.dtype), bias.to(room.dtype)
        for chunk in chunks(N, room.chunk):
            logits = linear(flat[chunk].to(room.dtype), weight, bias)
            probs = logits.softmax(-1, dtype=wide(room.dtype))
            out[chunk] = probs.multinomial(R, replacement=True)
    return _restored(out, order, shape)


def linear_log_probs(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Log-probabilities of all symbols, (..., V) in nats: what the rest of this module avoids."""
    dtype = _product_dtype(features, weight, bias)
    with torch.autocast(features.device.type, enabled=False):
        logits = linear(features.to(dtype), weight.to(dtype), bias.to(dtype))
        return logits.log_softmax(-1, dtype=wide(dtype))


# Normalises rows, and may add up gradients that it foresees, up to one factor common to all rows: it then
# says which incoming gradients (N, R) it has taken for granted.
Visit = Callable[[RowSoftmax, RowGradients | None], Tensor | None]


def chosen_log_softmax(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    index: Tensor,
    visit: Visit,
    room: Room,
    negligible: float,
) -> Tensor:
    """Log-probabilities (N, R) of values (N, R) for those rows (N, H) that `visit` normalises."""
    out: Tensor = _ChosenLogSoftmax.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, index, visit, room, negligible, learns(features, weight, bias)
    )
    return out


def learns(*tensors: Tensor) -> bool:
    """Whether a gradient may be asked for."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def _normalise_all(softmax: RowSoftmax, sums: RowGradients | None) -> None:
    softmax.normalise()


def room_for(features: Tensor, weight: Tensor, bias: Tensor, chunk_bytes: int, kept_bytes: int) -> Room:
    """Rows for bytes, and the dtype of the products."""
    dtype = _product_dtype(features, weight, bias)
    row = len(weight) * wide(dtype).itemsize
    return Room(dtype, max(1, chunk_bytes // row), kept_bytes // row)


class _ChosenLogSoftmax(torch.autograd.Function):
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
        foresee: bool,
    ) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            softmax = RowSoftmax(features, weight, bias, index, room)
            sums = RowGradients(features, weight, bias, room, ctx.needs_input_grad[:3]) if foresee else None
            foreseen = visit(softmax, sums)
        known = (None,) * 4 if foreseen is None or sums is None else (foreseen, *sums.found)
        ctx.save_for_backward(features, weight, bias, index, *softmax.kept, *known)
        ctx.room, ctx.negligible, ctx.used = room, negligible, softmax.used
        return softmax.out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, index, *rest = ctx.saved_tensors
        kept, (foreseen, *found) = Kept(*rest[:3]), rest[3:]
        factor = None if foreseen is None else _common_factor(gradient, foreseen)
        if factor is None:
            matter = _rows_that_matter(gradient, ctx.negligible)
            sums = RowGradients(features, weight, bias, ctx.room, ctx.needs_input_grad[:3])
            with torch.autocast(features.device.type, enabled=False):
                _add_up(sums, matter, index, gradient, kept, ctx.used)
            found = sums.found
        else:
            found = [None if d is None else d * factor for d in found]
        of_inputs = [
            None if d is None else d.to(t.dtype) for d, t in zip(found, ctx.saved_tensors[:3], strict=True)
        ]
        return *of_inputs, None, None, None, None, None


# What all foreseen gradients are to be multiplied with; None if it is not one number after all.
def _common_factor(gradient: Tensor, foreseen: Tensor) -> Tensor | None:
    factor = gradient.sum() / foreseen.sum()
    off = (gradient - factor * foreseen).abs().sum()
    return factor if bool(off <= FORESEEN * gradient.abs().sum()) else None


def _add_up(
    sums: RowGradients, matter: Tensor, index: Tensor, gradient: Tensor, kept: Kept, used: int
) -> None:
    slot, known = kept.slot, len(kept.mean_weight)
    if not used or (used == len(index) and not known):
        sums.add(_places(matter), index, gradient, kept if used else None)
        return
    if known:
        sums.add(_places(matter & (slot >= 0) & (slot < known)), index, gradient, kept, mean_known=True)
    sums.add(_places(matter & (slot >= known)), index, gradient, kept)
    sums.add(_places(matter & (slot < 0)), index, gradient, None)


# A gradient of nan or infinity must come through: nan compares false, and no finite sum reaches the rest.
def _rows_that_matter(gradient: Tensor, negligible: float) -> Tensor:
    size, row = gradient.abs().sum(1).sort()
    together = negligible * size.sum().clamp(max=torch.finfo(size.dtype).max)
    dropped = (size <= negligible * size[-1:]) & (size.cumsum(0) <= together)
    return torch.empty_like(dropped).scatter_(0, row, dropped).logical_not_()


def _places(mask: Tensor) -> Tensor:
    return mask.nonzero().squeeze(1)


def _product_dtype(features: Tensor, weight: Tensor, bias: Tensor) -> torch.dtype:
    dtype = torch.promote_types(torch.promote_types(features.dtype, weight.dtype), bias.dtype)
    kind = features.device.type
    if torch.is_autocast_enabled(kind) and dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return dtype


# The order that puts the dims of the features before those of the values alone; the sizes of both.
def _rows_first(leading: Sequence[int], shape: Sequence[int]) -> tuple[list[int], int, int]:
    padded = [1] * (len(shape) - len(leading)) + list(leading)
    N = prod(padded)
    order = sorted(range(len(shape)), key=lambda d: padded[d] == 1)
    return order, N, prod(shape) // max(N, 1)


def _restored(out: Tensor, order: list[int], shape: Sequence[int]) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return out.reshape([shape[d] for d in order]).permute(inverse)
