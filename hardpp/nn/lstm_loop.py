"""An LSTM cell in a loop whose inputs are partly known beforehand.

What is known of all steps is multiplied once. The rest of a step's input and the last hidden features are
multiplied together, and the gradient of the weights is one product for all steps (`hardpp.ops.step_linear`).

Source: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; the gates as in `torch.nn.LSTMCell`.
Shapes: R rows, T steps, E features that are known beforehand, I others, H hidden features.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hardpp.ops.step_linear import StepLinear


class LSTMLoop:
    """Runs a cell over steps; the result is that of the cell itself on `cat([known[:, t], inputs])`.

    Args:
        cell: an `nn.LSTMCell` with E + I inputs.
        known: (R, T, E), or None if nothing is known beforehand.
    """

    def __init__(self, cell: Any, known: Tensor | None = None):
        bias = cell.bias_ih + cell.bias_hh
        of_inputs = cell.weight_ih
        self.constants: tuple[Tensor, ...] | Tensor = bias
        if known is not None:
            of_known, of_inputs = of_inputs.tensor_split([known.shape[-1]], dim=1)
            by_step = nn.functional.linear(known.transpose(0, 1), of_known, bias)  # (T, R, 4H)
            self.constants = by_step.unbind()
        self.gates = StepLinear(torch.cat([of_inputs, cell.weight_hh], 1))

    def step(self, t: int, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Step t of inputs (R, I) and the last hidden and cell (R, H) each: the next hidden and cell."""
        hidden, carry = state
        constant = self.constants if isinstance(self.constants, Tensor) else self.constants[t]
        gates = self.gates(torch.cat([inputs, hidden], -1), constant)
        enter, forget, new, out = gates.chunk(4, -1)
        carry = forget.sigmoid() * carry + enter.sigmoid() * new.tanh()
        return out.sigmoid() * carry.tanh(), carry
