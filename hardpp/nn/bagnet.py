"""BagNet: a residual network whose every output sees a small window of the image only, and its exact windows.

    stem        k x k convolution
    bottleneck  1 x 1 (p) -> k x k (p, stride s) -> 1 x 1 (4 p), added to the input; k = 3 in the first blocks
                of a group and 1 in the others, so that windows stay small
    head        1 x 1 to a quarter of the channels ("what"), then 1 x 1 to logits of classes at every place

Nothing is padded, so that what a place sees is known exactly (`hardpp.ops.receptive_field`).

Source: Elsayed, Kornblith and Le (2019), Saccader, appendix ("BagNet-77-lowD"); Brendel and Bethge (2019).
Shapes: B images, F channels of the last group, D of what (F / 4), V classes, C places a side, A = C * C.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp.ops.receptive_field import ReceptiveField, receptive_field

EXPANSION = 4  # channels of a bottleneck's output over those inside
HEAD_SHARE = 4  # channels of the last group over those of what
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels of ImageNet, in [0, 1]

ShortcutNorm = Literal["shortcut", "main"]


class Places(NamedTuple):
    """What a network says of every place of an image."""

    features: Tensor  # (B, F, C, C)
    what: Tensor  # (B, D, C, C), what the logits are computed from
    logits: Tensor  # (B, A, V), row by row


class BagNet(nn.Module):
    """Features and logits of every place of an image.

    Args:
        classes: V.
        stem: channels of the first convolution, of 3 x 3 pixels.
        planes: channels inside the bottlenecks, by group.
        blocks: bottlenecks, by group.
        strides: of the first bottleneck of each group.
        wide: how many bottlenecks have a kernel of 3 x 3, the first ones, by group.
        shortcut_norm: where the normalisation of a strided shortcut is: on the shortcut, or, as in the
            authors' code, a second time on the main path.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        classes: int,
        *,
        stem: int = 64,
        planes: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (3, 4, 6, 3),
        strides: Sequence[int] = (2, 2, 2, 1),
        wide: Sequence[int] = (2, 2, 2, 2),
        shortcut_norm: ShortcutNorm = "shortcut",
    ):
        super().__init__()
        if not len(planes) == len(blocks) == len(strides) == len(wide):
            raise ValueError(
                f"expected as many groups of planes, blocks, strides and wide, got {len(planes)}, "
                f"{len(blocks)}, {len(strides)} and {len(wide)}"
            )
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        layers: list[nn.Module] = [
            nn.Conv2d(3, stem, 3, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
        ]
        kernels, channels = [(3, 1)], stem
        for inside, count, stride, large in zip(planes, blocks, strides, wide, strict=True):
            for block in range(count):
                kernel, step = 3 if block < large else 1, stride if block == 0 else 1
                layers.append(Bottleneck(channels, inside, kernel, step, shortcut_norm))
                kernels.append((kernel, step))
                channels = EXPANSION * inside
        self.trunk = nn.Sequential(*layers)
        self.field: ReceptiveField = receptive_field(kernels)
        self.channels, self.head_channels = channels, channels // HEAD_SHARE
        self.head = nn.Sequential(
            nn.Conv2d(channels, self.head_channels, 1, bias=False),
            nn.BatchNorm2d(self.head_channels),
            nn.ReLU(inplace=True),
        )
        self.readout = nn.Conv2d(self.head_channels, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(self.readout.weight, std=0.01)

    def forward(self, images: Tensor) -> Places:
        """What is at every place of images: pixels (B, 1 or 3, height, width) uint8, or their features."""
        features = images if images.is_floating_point() else self.features(images)
        what = self.head(features)
        return Places(features, what, self.readout(what).flatten(2).transpose(1, 2))

    def features(self, images: Tensor) -> Tensor:
        """The features (B, F, C, C) of pixels (B, 1 or 3, height, width) uint8."""
        pixels = self.standardised(images)
        # Channels last in memory: up to three times as fast on a CPU.
        features: Tensor = self.trunk(pixels.contiguous(memory_format=torch.channels_last))
        return features

    def standardised(self, pixels: Tensor) -> Tensor:
        """Pixels 0 .. 255 as floating point of mean 0 and deviation 1, about; grey ones in three channels."""
        return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.deviation


class Bottleneck(nn.Module):
    """A residual block; where it is strided or wider, its input is convolved to fit, and always cropped."""

    def __init__(self, channels: int, inside: int, kernel: int, stride: int, norm: ShortcutNorm):
        super().__init__()
        out = EXPANSION * inside
        last = nn.BatchNorm2d(out)
        nn.init.zeros_(last.weight)  # each block begins as the identity
        self.main = nn.Sequential(
            nn.Conv2d(channels, inside, 1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(inplace=True),
            _strided(inside, inside, kernel, stride),
            nn.BatchNorm2d(inside),
            nn.ReLU(inplace=True),
            nn.Conv2d(inside, out, 1, bias=False),
            last,
        )
        self.crop, self.shortcut = kernel // 2, nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut.append(_strided(channels, out, 1, stride))
            (self.shortcut if norm == "shortcut" else self.main).append(nn.BatchNorm2d(out))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, height, width) -> (B, 4 inside, about height / stride, about width / stride)."""
        crop = (-self.crop,) * 4
        return (self.main(features) + self.shortcut(pad(features, crop))).relu_()


class SparsePointwise(nn.Conv2d):
    """A 1 x 1 convolution of every `step`-th row and column.

    They are picked first: of a strided convolution, torch 2.13 writes the gradient beyond its memory on CPUs
    with AVX-512, where there are fewer than 16 channels and they come last in memory.
    """

    def __init__(self, channels: int, out: int, step: int):
        super().__init__(channels, out, 1, bias=False)
        self.step = step

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, height, width) -> (B, out, about height / step, about width / step)."""
        return super().forward(features[..., :: self.step, :: self.step])


def _strided(channels: int, out: int, kernel: int, stride: int) -> nn.Conv2d:
    if kernel == 1 and stride > 1:
        return SparsePointwise(channels, out, stride)
    return nn.Conv2d(channels, out, kernel, stride, bias=False)
