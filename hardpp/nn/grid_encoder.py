"""Encodes an image as a grid of square regions; the features of a region depend on its own pixels only.

Convolutions of stride 2 without padding: with kernels k1, k2, ... of n layers, neighbouring regions are 2^n
pixels apart and a region is a window of 1 + (k1 - 1) + 2 (k2 - 1) + 4 (k3 - 1) + ... pixels a side. Kernels
4, 3, 2 make windows of 12 pixels every 8; kernels 2, 2, 2 make cells of 8 that do not overlap. So a model
that answers from one region uses the pixels there, and attention to regions can be interpreted; in padded or
deeper networks a region also describes its neighbours.

Shapes: B images, S regions (rows from the top, each from the left), H hidden, M memory features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels, the last two exclusive


class GridEncoder(nn.Module):
    """Pixels (B, channels, height, width) -> regions (B, S, M); the last two features are its coordinates.

    Args:
        kernels: sides of the convolutions' kernels.
        hidden: H.
        channels: of the pixels.

    Raises:
        ValueError: no kernel, or one below 2, which would leave pixels out.
    """

    def __init__(self, kernels: Sequence[int], hidden: int, channels: int = 3):
        super().__init__()
        if not kernels or min(kernels) < 2:
            raise ValueError(f"expected kernels of 2 and more, got {list(kernels)}")
        self.features = hidden + 2
        layers: list[nn.Module] = []
        for place, kernel in enumerate(kernels):
            layers += [nn.Conv2d(hidden if place else channels, hidden, kernel, stride=2), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(hidden, hidden, 1), nn.ReLU())
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):  # with torch's initialisation signals shrink from layer to layer
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.norm = nn.LayerNorm(hidden)  # of each region by itself

    def forward(self, pixels: Tensor) -> Tensor:
        """Regions (B, S, M) of pixels: uint8, or floating from 0 to 1."""
        weight = self.norm.weight
        scaled = pixels.to(weight.dtype) / (1 if pixels.is_floating_point() else 255)
        regions = self.norm(self.layers(2 * scaled - 1).movedim(1, -1))  # (B, rows, columns, H)
        B, rows, columns, _ = regions.shape
        down, across = (
            torch.linspace(-1, 1, n, device=regions.device, dtype=regions.dtype) for n in (rows, columns)
        )
        place = torch.stack([across.expand(rows, columns), down.unsqueeze(-1).expand(rows, columns)], -1)
        return torch.cat([regions, place.expand(B, -1, -1, -1)], -1).flatten(1, 2)


def window_side(kernels: Sequence[int]) -> int:
    """Pixels a side of a region's window."""
    return 1 + sum((kernel - 1) * 2**place for place, kernel in enumerate(kernels))


def grid_boxes(height: int, width: int, kernels: Sequence[int]) -> list[Box]:
    """The box of each region of an image, in the encoder's order; none if the image is smaller than one."""
    window, apart = window_side(kernels), 2 ** len(kernels)
    return [
        (float(left), float(top), float(left + window), float(top + window))
        for top in range(0, height - window + 1, apart)
        for left in range(0, width - window + 1, apart)
    ]
