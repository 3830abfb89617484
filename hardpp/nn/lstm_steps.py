"""Single steps of an LSTM whose inputs arrive multiplied by their weights, without gradients.

    gates = rows + V h,    of the layers above the first: W h of the layer below + b + V h

With the rows comes a column of something else, which is handed on. On a CPU a step of a layer is seven
operations on memory that stays; elsewhere two products and torch's fused cell, which CPUs do not have.

Shapes: R rows, L layers, H features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.nn.gate_tables import LayerWeights
from hardpp.ops.lstm_scan import gates_as_torch

_UNFUSED = {"cpu", "mps"}  # devices without a fused cell
_fused_cell = torch.ops.aten._thnn_fused_lstm_cell.default  # as `torch.lstm_cell` calls it


def steps_of(layers: Sequence[LayerWeights], R: int) -> "SteadySteps | FusedSteps":
    """The steps of these layers from a state of zeros, as their device has them."""
    fused = layers[0].bias.device.type not in _UNFUSED
    return FusedSteps(layers, R) if fused else SteadySteps(layers, R)


class SteadySteps:
    """All layers' states in one table (R, L H), each layer reading those beside its own."""

    def __init__(self, layers: Sequence[LayerWeights], R: int):
        H = layers[0].of_state.shape[1]
        every = layers[0].of_state.new_zeros(R, len(layers) * H)
        self.states, self.cells = every[:, -H:], []
        for number, layer in enumerate(layers):
            beside = every[:, max(0, number - 1) * H : (number + 1) * H]
            weight = torch.cat([layer.of_input, layer.of_state], 1) if number else layer.of_state
            # No state adds anything to the column that comes with the rows.
            weight = weight.t() if number else pad(weight.t(), (0, 1))
            self.cells.append(_Cell(beside, weight, layer.bias if number else None))
        self.column = self.cells[0].gates[:, -1]

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Of rows (R, 4 H + 1) the states (R, H) of the last layer, and the column (R,): until the next."""
        for cell in self.cells:
            cell.step(rows)
        return self.states, self.column


class _Cell:
    def __init__(self, states: Tensor, weight: Tensor, bias: Tensor | None):
        self.states, self.weight, self.bias = states, weight, bias
        R, H = len(states), weight.shape[1] // 4
        self.gates, self.carry = states.new_empty(R, weight.shape[1]), states.new_zeros(R, H)
        self.own, self.open, self.new = states[:, -H:], self.gates[:, : 3 * H], self.gates[:, 3 * H : 4 * H]
        self.o, self.i, self.f = self.open.chunk(3, -1)

    def step(self, rows: Tensor) -> None:
        torch.addmm(rows if self.bias is None else self.bias, self.states, self.weight, out=self.gates)
        self.open.sigmoid_()
        self.new.tanh_()
        self.carry.mul_(self.f).addcmul_(self.i, self.new)
        torch.mul(self.o, self.carry.tanh(), out=self.own)


class FusedSteps:
    """The same by torch's fused cell."""

    def __init__(self, layers: Sequence[LayerWeights], R: int):
        self.layers = [LayerWeights(*(gates_as_torch(each).t() for each in layer)) for layer in layers]
        zero = layers[0].of_state.new_zeros(R, layers[0].of_state.shape[1])
        self.cells, self.none = [(zero, zero)] * len(layers), torch.zeros_like(layers[0].bias)

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """As `SteadySteps.step`, with rows in the order of gates that torch has."""
        inputs, bias = rows[:, :-1], self.none
        for number, (layer, (hidden, carry)) in enumerate(zip(self.layers, self.cells, strict=True)):
            if number:
                inputs, bias = self.cells[number - 1][0] @ layer.of_input, layer.bias
            states = hidden @ layer.of_state
            self.cells[number] = _fused_cell(inputs, states, carry, bias, self.none)[:2]
        return self.cells[-1][0], rows[:, -1]
