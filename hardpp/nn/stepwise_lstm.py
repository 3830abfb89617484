"""A forward LSTM that reads a whole sequence at once or one step at a time, with the same weights.

Shapes: N steps, E inputs, H features; ... = rows, any leading dims.
"""

import torch
from torch import Tensor, nn

Cells = tuple[tuple[Tensor, Tensor], ...]  # a layer: hidden and cell, (..., H) each


class StepwiseLSTM(nn.Module):
    """Layers of LSTM over the last dim but one; without dropout, so that both ways of reading agree.

    Args:
        inputs: E.
        hidden: H.
        layers: how many are stacked.

    Attributes:
        features: H.
    """

    def __init__(self, inputs: int, hidden: int, layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True)
        self.features = hidden

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (..., N, E) to (..., N, H); padding on the right changes nothing before it."""
        rows = inputs.shape[:-2]
        states, _ = self.lstm(inputs.flatten(0, -3) if len(rows) > 1 else inputs)
        return states.reshape(*rows, *states.shape[-2:])

    def start(self, rows: torch.Size) -> Cells:
        """The state before the first step: zeros."""
        weight = next(self.lstm.parameters())
        zero = torch.zeros(*rows, self.features, dtype=weight.dtype, device=weight.device)
        return ((zero, zero),) * self.lstm.num_layers

    def step(self, inputs: Tensor, cells: Cells) -> tuple[Tensor, Cells]:
        """One step further: (..., E) to the features (..., H) and the next state."""
        rows, new = inputs.shape[:-1], []
        for layer, previous in enumerate(cells):
            names = [f"{kind}_{part}_l{layer}" for kind in ("weight", "bias") for part in ("ih", "hh")]
            weights = [getattr(self.lstm, name) for name in names]
            flat = [each.reshape(-1, each.shape[-1]) for each in (inputs, *previous)]
            hidden, carry = torch.lstm_cell(flat[0], flat[1:], *weights)
            inputs, carry = hidden.reshape(*rows, -1), carry.reshape(*rows, -1)
            new.append((inputs, carry))
        return inputs, tuple(new)


def select(cells: Cells, rows: Tensor) -> Cells:
    """The state of other rows, (R,) int64, of one leading dim."""
    return tuple((hidden[rows], carry[rows]) for hidden, carry in cells)


def choose(where: Tensor, one: Cells, other: Cells) -> Cells:
    """The one state in the rows (...) where a bool is True, the other elsewhere."""
    mask = where.unsqueeze(-1)
    return tuple(
        (torch.where(mask, a, c), torch.where(mask, b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )
