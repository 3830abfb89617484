"""Log-probabilities of given symbols under a linear readout, without holding all of its logits.

    out = log softmax(features weight^T + bias)[value]

The logits of all rows would be (..., V). Here they are computed for a chunk of rows at a time
(`hardpp.ops.row_softmax`). The backward pass skips the rows of smallest incoming gradient, as long as each is
a negligible share of the largest and all of them together are a negligible share of the sum, so neither a
row's gradient nor a sum over rows is off by more than that (`hardpp.ops.row_log_softmax`).

Where S rows are summed by a logsumexp, that gradient is a posterior probability, mostly tiny;
`hardpp.ops.pruned_mixture` then skips rows in the forward pass, too.

Shapes: H features, V symbols; ... = any dims, broadcast between features and value. Inside, R rows of
features and U values a row: a dim of the values alone goes into U, so that no product is repeated.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.broadcast_shape import broadcast_shape
from hardpp.ops.precision import wide
from hardpp.ops.row_log_softmax import learns, row_log_softmax
from hardpp.ops.row_softmax import Room, RowGradients, RowSoftmax, chunks

CHUNK_BYTES = 8 * 2**20
KEPT_BYTES = 128 * 2**20
NEGLIGIBLE = 1e-6


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
    softmax and the sums over chunks run in float32 or wider. Differentiable twice, in reverse
    mode. The backward pass asks the device which rows to keep: on CUDA one host synchronisation a call,
    however many rows it has, and two where only some of them were kept. The second derivative skips none.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,); minus infinity rules a symbol out.
        value: int64 symbols, (...).
        chunk_bytes: size of the log-probabilities (rows, V) worked on at once, one row at least.
        kept_bytes: size of the probabilities (rows, V) that are kept for the backward pass; the others are
            computed again.
        negligible: the backward pass skips the rows of smallest incoming gradient (in absolute value,
            summed over the row's values) that are each at most this share of the largest row's, and
            together at most this share of the sum over all rows. Gradients have a relative error of that
            size, by default about float32's own; 0 skips exact zeros only.

    Returns:
        (...), float32 or wider.
    """
    tensors = (features, weight, bias, value)
    if has_torch_function(tensors):  # a Function drops subclasses, and with them Pyro's provenance
        options: dict[str, Any] = {"chunk_bytes": chunk_bytes, "kept_bytes": kept_bytes}
        return handle_torch_function(linear_log_softmax, tensors, *tensors, **options, negligible=negligible)
    shape = broadcast_shape(features.shape[:-1], value.shape)
    order, R, U = _rows_first(features.shape[:-1], shape)
    index = value.expand(shape).permute(order).reshape(R, U)
    flat = features.reshape(R, features.shape[-1])
    room = room_for(flat, weight, bias, chunk_bytes, kept_bytes if learns(flat, weight, bias) else 0)
    out = row_log_softmax(flat, weight, bias, index, None, _normalise_all, room, negligible)
    return _restored(out, order, shape)


def linear_draws(
    features: Tensor, weight: Tensor, bias: Tensor, shape: Sequence[int], *, chunk_bytes: int = CHUNK_BYTES
) -> Tensor:
    """Independent draws from softmax(features weight^T + bias), int64 of a given shape, without gradient.

    Features (..., H) broadcast to the shape; the other arguments are as for `linear_log_softmax`.
    """
    tensors = (features, weight, bias)
    if has_torch_function(tensors):
        return handle_torch_function(linear_draws, tensors, *tensors, shape, chunk_bytes=chunk_bytes)
    order, R, U = _rows_first(features.shape[:-1], shape)
    room = room_for(*tensors, chunk_bytes, 0)
    out = torch.empty(R, U, dtype=torch.int64, device=features.device)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        flat = features.reshape(R, features.shape[-1])
        weight, bias = weight.to(room.dtype), bias.to(room.dtype)
        for chunk in chunks(R, room.chunk):
            logits = linear(flat[chunk].to(room.dtype), weight, bias)
            probs = logits.softmax(-1, dtype=wide(room.dtype))
            out[chunk] = probs.multinomial(U, replacement=True)
    return _restored(out, order, shape)


def linear_log_probs(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Log-probabilities of all symbols, (..., V) in nats; the only function here that holds all logits."""
    dtype = _product_dtype(features, weight, bias)
    with torch.autocast(features.device.type, enabled=False):
        logits = linear(features.to(dtype), weight.to(dtype), bias.to(dtype))
        return logits.log_softmax(-1, dtype=wide(dtype))


def room_for(features: Tensor, weight: Tensor, bias: Tensor, chunk_bytes: int, kept_bytes: int) -> Room:
    """How many rows fit into the bytes, and the dtype of the products."""
    dtype = _product_dtype(features, weight, bias)
    row = len(weight) * wide(dtype).itemsize
    return Room(dtype, max(1, chunk_bytes // row), kept_bytes // row)


def _normalise_all(softmax: RowSoftmax, sums: RowGradients | None, log_weight: Tensor | None) -> None:
    softmax.normalise()


def _product_dtype(features: Tensor, weight: Tensor, bias: Tensor) -> torch.dtype:
    dtype = torch.promote_types(torch.promote_types(features.dtype, weight.dtype), bias.dtype)
    kind = features.device.type
    if torch.is_autocast_enabled(kind) and dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return dtype


# The order that puts the dims of the features before those of the values alone; the sizes of both.
def _rows_first(leading: Sequence[int], shape: Sequence[int]) -> tuple[list[int], int, int]:
    padded = [1] * (len(shape) - len(leading)) + list(leading)
    R = prod(padded)
    order = sorted(range(len(shape)), key=lambda d: padded[d] == 1)
    return order, R, prod(shape) // max(R, 1)


def _restored(out: Tensor, order: list[int], shape: Sequence[int]) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return out.reshape([shape[d] for d in order]).permute(inverse)
