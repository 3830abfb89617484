"""Log-probabilities of chosen symbols under a linear readout, without its logits.

    out = log softmax(features weight^T + bias)[value]

The logits of all rows would be (..., V). Here they are formed for a chunk of rows at a time, and once
more in the backward pass, where a row with incoming gradient g has

    d logits = g (onehot(value) - softmax(logits))
    d features = d logits weight        d weight += d logits^T features        d bias += d logits

The rows of smallest |g| are skipped there, as long as each is a negligible share of the largest and all
of them together one of the sum: neither a row's gradient nor a sum over rows is then off by more. Where
S rows are summed by a logsumexp, g is a posterior probability, mostly tiny, and little remains but the
one product a row of the forward pass.

Shapes: H features, V symbols; ... = any dims, broadcast between features and value. Inside, N rows of
features and R values a row: a dim of the values alone goes into R, so that no product is repeated.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.overrides import handle_torch_function, has_torch_function

CHUNK_BYTES = 8 * 2**20
NEGLIGIBLE = 1e-6


def linear_log_softmax(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    value: Tensor,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    negligible: float = NEGLIGIBLE,
) -> Tensor:
    """Log-probabilities, in nats, of symbols whose logits are linear in features.

    Products run in the dtype the arguments promote to, or that of `torch.autocast` where it is on; the
    softmax and the sums over chunks run in float32 or wider. Differentiable once. The backward pass asks
    the device which rows to keep: on CUDA one host synchronisation a call, however many rows it has.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,); minus infinity rules a symbol out.
        value: int64 symbols, (...).
        chunk_bytes: size of the log-probabilities (rows, V) held at once, one row at least. Where all
            rows fit they are kept for the backward pass, not formed again.
        negligible: the backward pass skips the rows of smallest incoming gradient (in absolute value,
            summed over the row's values) that are each at most this share of the largest row's, and
            together at most this share of the sum over all rows; 0 skips exact zeros only.

    Returns:
        (...), float32 or wider.
    """
    tensors = (features, weight, bias, value)
    if has_torch_function(tensors):  # a Function drops subclasses, and with them Pyro's provenance
        options: dict[str, Any] = {"chunk_bytes": chunk_bytes, "negligible": negligible}
        return handle_torch_function(linear_log_softmax, tensors, *tensors, **options)
    shape = torch.broadcast_shapes(features.shape[:-1], value.shape)
    order, N, R = _rows_first(features.shape[:-1], shape)
    index = value.expand(shape).permute(order).reshape(N, R)
    dtype = _product_dtype(*tensors[:3])
    rows = _rows_per_chunk(dtype, len(weight), chunk_bytes)
    flat = features.reshape(N, features.shape[-1])
    out = _ChosenLogSoftmax.apply(  # type: ignore[no-untyped-call]
        flat, weight, bias, index, dtype, rows, negligible
    )
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
    dtype = _product_dtype(*tensors)
    out = torch.empty(N, R, dtype=torch.int64, device=features.device)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        flat = features.reshape(N, features.shape[-1])
        weight, bias = weight.to(dtype), bias.to(dtype)
        for chunk in _chunks(N, _rows_per_chunk(dtype, len(weight), chunk_bytes)):
            logits = linear(flat[chunk].to(dtype), weight, bias)
            probs = logits.softmax(-1, dtype=_wide(dtype))
            out[chunk] = probs.multinomial(R, replacement=True)
    return _restored(out, order, shape)


def linear_log_probs(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Log-probabilities of all symbols, (..., V) in nats: what the rest of this module avoids."""
    dtype = _product_dtype(features, weight, bias)
    with torch.autocast(features.device.type, enabled=False):
        logits = linear(features.to(dtype), weight.to(dtype), bias.to(dtype))
        return logits.log_softmax(-1, dtype=_wide(dtype))


class _ChosenLogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,  # (N, H)
        weight: Tensor,
        bias: Tensor,
        index: Tensor,  # (N, R)
        dtype: torch.dtype,
        rows: int,
        negligible: float,
    ) -> Tensor:
        out = torch.empty(index.shape, dtype=_wide(dtype), device=features.device)
        logits, log_probs = _buffers(features, weight, dtype, min(rows, len(index)))
        with torch.autocast(features.device.type, enabled=False):
            narrow, offset = weight.to(dtype), bias.to(dtype)
            for chunk in _chunks(len(index), rows):
                x, i = features[chunk].to(dtype), index[chunk]
                torch.addmm(offset, x, narrow.T, out=logits[: len(x)])
                torch.log_softmax(logits[: len(x)], -1, out.dtype, out=log_probs[: len(x)])
                torch.gather(log_probs[: len(x)], 1, i, out=out[chunk])
        kept = log_probs if len(index) <= rows else None
        ctx.save_for_backward(features, weight, bias, index, kept)
        ctx.dtype, ctx.rows, ctx.negligible = dtype, rows, negligible
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, index, kept = ctx.saved_tensors
        for_features, for_weight, for_bias = ctx.needs_input_grad[:3]
        d_features = torch.zeros_like(features) if for_features else None
        d_weight = torch.zeros_like(weight, dtype=gradient.dtype) if for_weight else None
        d_bias = torch.zeros_like(bias, dtype=gradient.dtype) if for_bias else None
        matter = _rows_that_matter(gradient, ctx.negligible)
        logits, probs = _buffers(features, weight, ctx.dtype, min(ctx.rows, len(matter)))
        with torch.autocast(features.device.type, enabled=False):
            narrow, offset = weight.to(ctx.dtype), bias.to(ctx.dtype)
            for chunk in _chunks(len(matter), ctx.rows):
                row = matter[chunk]
                x, g = features[row].to(ctx.dtype), gradient[row]
                d_logits = probs[: len(row)]
                if kept is None:
                    torch.addmm(offset, x, narrow.T, out=logits[: len(row)])
                    torch.softmax(logits[: len(row)], -1, g.dtype, out=d_logits)
                else:
                    torch.index_select(kept, 0, row, out=d_logits).exp_()
                d_logits.mul_(-g.sum(1, keepdim=True)).scatter_add_(1, index[row], g)
                if d_bias is not None:
                    d_bias += d_logits.sum(0)
                d_logits = d_logits.to(ctx.dtype)
                if d_features is not None:
                    d_features[row] = (d_logits @ narrow).to(features.dtype)
                if d_weight is not None and ctx.dtype == d_weight.dtype:
                    d_weight.addmm_(d_logits.T, x)
                elif d_weight is not None:
                    d_weight += d_logits.T @ x
        return d_features, _as(d_weight, weight), _as(d_bias, bias), None, None, None, None


# A gradient of nan or infinity must come through: nan compares false, and no finite sum reaches the rest.
def _rows_that_matter(gradient: Tensor, negligible: float) -> Tensor:
    size, row = gradient.abs().sum(1).sort()
    together = negligible * size.sum().clamp(max=torch.finfo(size.dtype).max)
    dropped = (size <= negligible * size[-1:]) & (size.cumsum(0) <= together)
    return torch.empty_like(dropped).scatter_(0, row, dropped).logical_not_().nonzero().squeeze(1)


def _product_dtype(features: Tensor, weight: Tensor, bias: Tensor) -> torch.dtype:
    dtype = torch.promote_types(torch.promote_types(features.dtype, weight.dtype), bias.dtype)
    kind = features.device.type
    if torch.is_autocast_enabled(kind) and dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return dtype


def _buffers(features: Tensor, weight: Tensor, dtype: torch.dtype, rows: int) -> tuple[Tensor, Tensor]:
    logits = torch.empty(rows, len(weight), dtype=dtype, device=features.device)
    return logits, torch.empty_like(logits, dtype=_wide(dtype))


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _as(gradient: Tensor | None, like: Tensor) -> Tensor | None:
    return None if gradient is None else gradient.to(like.dtype)


def _rows_per_chunk(dtype: torch.dtype, V: int, chunk_bytes: int) -> int:
    return max(1, chunk_bytes // (V * _wide(dtype).itemsize))


def _chunks(N: int, rows: int) -> Iterator[slice]:
    return (slice(start, start + rows) for start in range(0, N, rows))


# The order that puts the dims of the features before those of the values alone; the sizes of both.
def _rows_first(leading: Sequence[int], shape: Sequence[int]) -> tuple[list[int], int, int]:
    padded = [1] * (len(shape) - len(leading)) + list(leading)
    N = prod(padded)
    order = sorted(range(len(shape)), key=lambda d: padded[d] == 1)
    return order, N, prod(shape) // max(N, 1)


def _restored(out: Tensor, order: list[int], shape: Sequence[int]) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return out.reshape([shape[d] for d in order]).permute(inverse)
