"""A bidirectional LSTM that padding cannot influence.

Shapes: B data, N positions, E input features, H output features.
"""

import torch
from torch import Tensor, nn


class BidirectionalLSTM(nn.Module):
    """Reads a sequence from both ends; layers are stacked on the joined directions, each with dropout.

    Each direction starts at its own end of every sequence (the backward one at the last symbol that is not
    padding), so outputs do not depend on the padding of a batch. Lengths stay on the device: packing would
    move them to the host. With `skip` each output also contains its own input.
    """

    def __init__(
        self, inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0, *, skip: bool = False
    ):
        super().__init__()
        sizes = [inputs] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.skip = skip
        self.features = 2 * hidden + (inputs if skip else 0)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Maps (B, N, E) and a right-padded (B, N) bool mask to (B, N, 2H), with `skip` (B, N, 2H + E)."""
        reversal = reversed_positions(mask).unsqueeze(-1)  # (B, N, 1)
        hidden = inputs
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            flipped = hidden.gather(1, reversal.expand_as(hidden))
            left, _ = ahead(hidden)
            right, _ = back(flipped)
            hidden = self.dropout(torch.cat([left, right.gather(1, reversal.expand_as(right))], -1))
        return torch.cat([hidden, inputs], -1) if self.skip else hidden


def reversed_positions(mask: Tensor) -> Tensor:
    """For a right-padded (B, N) bool mask, the (B, N) int64 index that reverses each sequence in place."""
    position = torch.arange(mask.shape[-1], device=mask.device).expand_as(mask)
    last = mask.sum(-1, keepdim=True) - 1
    return torch.where(mask, last - position, position)
