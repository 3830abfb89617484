"""A forward RNN that reads a whole sequence at once or one step at a time, with the same weights.

    relu    h[t] = relu(U x[t] + V h[t-1] + b)     RAM's core; a third of a GRU's products
    gru     a gated recurrent unit

In the first, V starts as the identity, so that early steps are not forgotten before anything is learnt.

Source: Mnih et al. (2014), section 3.1; Le, Jaitly and Hinton (2015), A Simple Way to Initialize Recurrent
Networks of Rectified Linear Units; Cho et al. (2014).
Shapes: N steps, E inputs, H features; ... = rows, any leading dims.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Cell = Literal["relu", "gru"]


class StepwiseRNN(nn.Module):
    """One layer over the last dim but one.

    Args:
        inputs: E.
        hidden: H.
        cell: "relu" or "gru".

    Attributes:
        features: H.
    """

    def __init__(self, inputs: int, hidden: int, cell: Cell = "gru"):
        super().__init__()
        gated = cell == "gru"
        self.recurrence = (
            nn.GRU(inputs, hidden, batch_first=True)
            if gated
            else nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
        )
        self.cell = torch.gru_cell if gated else torch.rnn_relu_cell
        if not gated:
            weights = dict(self.recurrence.named_parameters())
            nn.init.kaiming_uniform_(weights["weight_ih_l0"], nonlinearity="relu")
            nn.init.eye_(weights["weight_hh_l0"])
            nn.init.zeros_(weights["bias_ih_l0"])
            nn.init.zeros_(weights["bias_hh_l0"])
        self.features = hidden

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (..., N, E) to (..., N, H)."""
        states, _ = self.recurrence(inputs.flatten(0, -3))
        return states.reshape(*inputs.shape[:-1], self.features)

    def start(self, rows: torch.Size) -> Tensor:
        """The state before the first step, (..., H): zeros."""
        weight = next(self.parameters())
        return torch.zeros(*rows, self.features, dtype=weight.dtype, device=weight.device)

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step further: (..., E) to the features (..., H) and the next state."""
        names = [f"{kind}_{part}_l0" for kind in ("weight", "bias") for part in ("ih", "hh")]
        weights = [getattr(self.recurrence, name) for name in names]
        new = self.cell(inputs.flatten(0, -2), state.flatten(0, -2), *weights)
        new = new.reshape(state.shape)
        return new, new
