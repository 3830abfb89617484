"""Networks between images and their codes: convolutions that halve the image, and that double it again.

Images of any size will do: a side of S pixels becomes S / 2, rounded up, from layer to layer.

Shapes: B images, C channels, H x W pixels, D features of a code; ... = dims inference adds on the left.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from hardpp.ops.precision import at_least_single


def halved(size: tuple[int, int], times: int) -> list[tuple[int, int]]:
    """The size of an image, and after each of so many layers that halve it."""
    sizes = [size]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


class ImageEncoder(nn.Module):
    """Images, or what was seen of them, as numbers (B, outputs); before training these are near 0.

    Args:
        channels: C.
        size: H, W.
        planes: channels of each layer.
        hidden: features of the layer before the last.
        outputs: how many numbers.
        partly: is it shown parts of images? Then the mask is one more channel.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        planes: Sequence[int],
        hidden: int,
        outputs: int,
        *,
        partly: bool = False,
    ):
        super().__init__()
        widths = [channels + partly, *planes]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        height, width = halved(size, len(planes))[-1]
        self.hidden = nn.Linear(planes[-1] * height * width, hidden)
        self.outputs = nn.Linear(hidden, outputs)
        for layer in [*self.layers, self.hidden]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.outputs.weight, std=0.01)
        nn.init.zeros_(self.outputs.bias)

    def forward(self, pixels: Tensor, seen: Tensor | None = None) -> Tensor:
        """Numbers of pixels (B, C, H, W) uint8; of those that were seen, (B, H, W) bool, alone."""
        values = pixels.to(self.outputs.weight.dtype) / 127.5 - 1
        if seen is not None:
            mask = seen.unsqueeze(1)
            values = torch.cat([values.masked_fill(~mask, 0.0), mask.to(values.dtype)], 1)
        for layer in self.layers:
            values = silu(layer(values))
        return self.outputs(silu(self.hidden(values.flatten(1))))


class ImageDecoder(nn.Module):
    """Codes as what grey values are drawn around, (..., C, H, W), and how far from it, one for each channel.

    Args:
        features: D.
        channels: C.
        size: H, W.
        planes: channels of each layer, from the image on as those of the encoder.
        hidden: features of the first layer.
    """

    def __init__(
        self, features: int, channels: int, size: tuple[int, int], planes: Sequence[int], hidden: int
    ):
        super().__init__()
        self.sizes = halved(size, len(planes))
        height, width = self.sizes[-1]
        self.hidden = nn.Linear(features, hidden)
        self.spread = nn.Linear(hidden, planes[-1] * height * width)
        widths = [*reversed(planes), channels]
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.log_scale = nn.Parameter(torch.full((channels,), 3.5))  # e^3.5 = 33 grey values
        for layer in [self.hidden, self.spread]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Location (..., C, H, W) and scale (C, 1, 1) of grey values, given codes (..., D)."""
        left = code.shape[:-1]
        values = self.spread(silu(self.hidden(at_least_single(code).reshape(-1, code.shape[-1]))))
        values = values.unflatten(-1, (-1, *self.sizes[-1]))
        for layer, (height, width) in zip(self.layers, reversed(self.sizes[:-1]), strict=True):
            values = layer(silu(values))[..., :height, :width]
        loc = 127.5 * (1 + values)
        return loc.reshape(*left, *loc.shape[1:]), self.log_scale.exp().view(-1, 1, 1)
