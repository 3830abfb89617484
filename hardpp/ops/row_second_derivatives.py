"""The second derivatives of log-probabilities of a linear readout, a chunk of logits at a time.

The gradients of `hardpp.ops.row_log_softmax` come from d logits = g onehot(value) - sum(g) p, with p the
softmax of a row. Along a change (a, C, c) of what they are multiplied with,

    L     = <a, d features> + <C, d weight> + <c, d bias> = sum_r <d logits[r], s[r]>
    s[r]  = weight a[r] + C features[r] + c
    e[r]  = -sum(g[r]) p[r] (s[r] - <p[r], s[r]>)                         d L / d logits, through p

    d L / d g[r, u]     = s[r, value[r, u]] - <p[r], s[r]>
    d L / d features[r] = weight^T e[r] + C^T d logits[r]
    d L / d weight      = sum_r e[r] features[r]^T + d logits[r] a[r]^T
    d L / d bias        = sum_r e[r]

No row is skipped; a row without any incoming gradient g adds nothing, whatever it holds.

Source: Pearlmutter (1994), Fast Exact Multiplication by the Hessian, for a softmax on a linear layer.
Shapes: R rows of features, U values a row, H features, V symbols.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp.ops.own_derivatives import InDims, one_by_one
from hardpp.ops.precision import wide
from hardpp.ops.row_softmax import Room, chunks


class RowSecondDerivatives(torch.autograd.Function):
    """The gradients of L above by features, weight, bias and g; None if not needed. They have no gradient."""

    @staticmethod
    def forward(
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        gradient: Tensor,
        a: Tensor | None,
        C: Tensor | None,
        c: Tensor | None,
        index: Tensor,
        room: Room,
        needed: tuple[bool, ...],
    ) -> tuple[Tensor | None, ...]:
        inputs, dtype = (features, weight, bias, gradient), wide(room.dtype)
        sums = [
            torch.zeros_like(t, dtype=dtype) if need else None for t, need in zip(inputs, needed, strict=True)
        ]
        W, b = weight.to(room.dtype), bias.to(room.dtype)
        a, C = (None if each is None else each.to(room.dtype) for each in (a, C))
        with torch.autocast(features.device.type, enabled=False):
            for chunk in chunks(len(features), room.chunk):
                x, g = features[chunk].to(room.dtype), gradient[chunk]
                p = torch.addmm(b, x, W.T).softmax(-1, dtype=dtype)
                s = torch.zeros_like(p) if c is None else c.to(dtype).expand_as(p)
                s = s if a is None else s + a[chunk] @ W.T
                s = s if C is None else s + x @ C.T
                mean, total = (p * s).sum(1, keepdim=True), g.sum(1, keepdim=True)
                silent = (g == 0).all(1, keepdim=True)
                e = (-total * p * (s - mean)).masked_fill(silent, 0.0).to(room.dtype)
                d_logits = (-total * p).scatter_add(1, index[chunk], g.to(dtype))
                d_logits, x = (each.masked_fill(silent, 0.0).to(room.dtype) for each in (d_logits, x))
                of_features, of_weight, of_bias, of_gradient = sums
                if of_features is not None:
                    of_features[chunk] = e @ W if C is None else e @ W + d_logits @ C
                if of_weight is not None:
                    of_weight += e.T @ x if a is None else e.T @ x + d_logits.T @ a[chunk]
                if of_bias is not None:
                    of_bias += e.sum(0)
                if of_gradient is not None:
                    of_gradient[chunk] = s.gather(1, index[chunk]) - mean
        return tuple(None if d is None else d.to(t.dtype) for d, t in zip(sums, inputs, strict=True))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        raise NotImplementedError(
            "log-probabilities of a linear readout can be differentiated twice, "
            "and a third derivative of them was asked for"
        )

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[tuple[Any, ...], InDims]:
        return one_by_one(RowSecondDerivatives, info, in_dims, *inputs)
