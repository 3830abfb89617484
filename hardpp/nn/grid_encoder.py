"""An image as a grid of square cells, each described by what lies in it and by nothing else.

A small convolutional network reads every cell by itself, as if it were an image of its own. So a model that
answers from one cell answers from what can be seen there, and attention to cells means something; in a
network over the whole image the receptive fields would let a cell report on its neighbours.

Shapes: B images, S cells (rows from the top, each from the left), C pixels a side of a cell, H hidden,
M memory features.
"""

import torch
from torch import Tensor, nn


class GridEncoder(nn.Module):
    """Pixels (B, 3, height, width) -> cells (B, S, M), of which the last two features are where it is.

    Args:
        cell: C, even.
        hidden: H.

    Raises:
        ValueError: `cell` is odd or below 2.
    """

    def __init__(self, cell: int, hidden: int):
        super().__init__()
        if cell < 2 or cell % 2:
            raise ValueError(f"expected cells of an even number of pixels a side, got {cell}")
        self.cell, self.features = cell, hidden + 2
        self.layers = nn.Sequential(
            nn.Conv2d(3, hidden // 2 + 1, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden // 2 + 1, hidden, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(hidden * (cell // 2) ** 2, hidden),
            nn.ReLU(),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):  # torch's own start lets signals shrink on their way
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.norm = nn.LayerNorm(hidden)

    def forward(self, pixels: Tensor) -> Tensor:
        """Cells (B, S, M) of pixels: uint8, or floating from 0 to 1; sides that no cell fills are cut."""
        weight = self.norm.weight
        scaled = pixels.to(weight.dtype) / (1 if pixels.is_floating_point() else 255)
        tiles = scaled.unfold(2, self.cell, self.cell).unfold(3, self.cell, self.cell)  # (B, 3, ., ., C, C)
        B, _, rows, columns = tiles.shape[:4]
        cells = tiles.movedim(1, 3).reshape(-1, 3, self.cell, self.cell)  # (B S, 3, C, C)
        seen = self.norm(self.layers(2 * cells - 1)).reshape(B, rows * columns, -1)
        return torch.cat([seen, _middles(rows, columns, seen).expand(B, -1, -1)], -1)


def cell_boxes(height: int, width: int, cell: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom (the last two exclusive) of every cell, in the encoder's order."""
    return [
        (column * cell, row * cell, (column + 1) * cell, (row + 1) * cell)
        for row in range(height // cell)
        for column in range(width // cell)
    ]


# The middle of each cell, from -1 to 1, across and down: (S, 2).
def _middles(rows: int, columns: int, like: Tensor) -> Tensor:
    down, across = (
        (2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1 for n in (rows, columns)
    )
    return torch.stack([across.expand(rows, columns), down.unsqueeze(-1).expand(rows, columns)], -1).flatten(0, 1)
