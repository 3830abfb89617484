"""Steps of LSTM and GRU that torch has for GPUs alone, with their gradients, for `simulated_device`.

Inputs and hidden states arrive multiplied by their weights.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def _lstm(
    inputs: Tensor, hidden: Tensor, cell: Tensor, bias: Tensor, hidden_bias: Tensor
) -> tuple[Tensor, ...]:
    i, f, c, o = (inputs + hidden + bias + hidden_bias).chunk(4, 1)
    i, f, c, o = i.sigmoid(), f.sigmoid(), c.tanh(), o.sigmoid()
    new = f * cell + i * c
    return o * new.tanh(), new, torch.cat([i, f, c, o], 1)


def _lstm_backward(
    hidden: Tensor | None, cell: Tensor | None, before: Tensor, after: Tensor, gates: Tensor, bias: bool
) -> tuple[Tensor, ...]:
    i, f, c, o = gates.chunk(4, 1)
    t = after.tanh()
    hidden, cell = (torch.zeros_like(before) if grad is None else grad for grad in (hidden, cell))
    d = cell + hidden * o * (1 - t * t)
    parts = [d * c * i * (1 - i), d * before * f * (1 - f), d * i * (1 - c * c), hidden * t * o * (1 - o)]
    gates = torch.cat(parts, 1)
    return gates, d * f, gates.sum(0)


def _gru(
    inputs: Tensor, hidden: Tensor, state: Tensor, bias: Tensor, hidden_bias: Tensor
) -> tuple[Tensor, ...]:
    (ir, iz, i), (hr, hz, h) = (inputs + bias).chunk(3, 1), (hidden + hidden_bias).chunk(3, 1)
    r, z = (ir + hr).sigmoid(), (iz + hz).sigmoid()
    n = (i + r * h).tanh()
    return n + z * (state - n), torch.cat([r, z, n, state, h], 1)


def _gru_backward(grad: Tensor, workspace: Tensor, bias: bool) -> tuple[Tensor, ...]:
    r, z, n, state, h = workspace.chunk(5, 1)
    update, new = grad * (state - n) * z * (1 - z), grad * (1 - z) * (1 - n * n)
    reset = new * h * r * (1 - r)
    inputs, hidden = torch.cat([reset, update, new], 1), torch.cat([reset, update, new * r], 1)
    return inputs, hidden, grad * z, inputs.sum(0), hidden.sum(0)


RECURRENT: dict[Any, Callable[..., tuple[Tensor, ...]]] = {
    aten._thnn_fused_lstm_cell.default: _lstm,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_backward,
    aten._thnn_fused_gru_cell.default: _gru,
    aten._thnn_fused_gru_cell_backward.default: _gru_backward,
}
