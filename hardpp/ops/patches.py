"""Square windows of images around given places, near ones sharp and wide ones coarse.

A glimpse at (y, x) holds L windows with sides g, 2 g, 4 g, ..., all around the same point and each averaged
down to g x g; a scale s chosen with it makes every window 2^s times as wide. Places are normalised: (0, 0) is
the centre of the image, (-1, -1) its top-left corner and (1, 1) its bottom-right one. A window of w pixels
begins at the pixel nearest to the place less w / 2; of two that are equally near, at the later one.

Windows of different places overlap, and coarse ones hold many pixels. So the means of all blocks of 2^j by
2^j pixels, at every offset, are made once an image (each level from the one before: four numbers a mean), and
a window is g x g look-ups, whatever its width. Means are exact: sums of uint8 pixels times a power of two.

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 3.1.
Shapes: B data, C channels, L windows of a glimpse, G glimpses, P patch side (g above); ... = dims inference
adds on the left.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

Padding = Literal["zeros", "edge"]

TIE = 1e-4  # pixels: places at cell centres, in single precision, are this near to where they should be


class Sensor(NamedTuple):
    """What can be sensed at a place."""

    side: int  # P, pixels of the sharpest window, and of every patch
    windows: int = 1  # L, each twice as wide as the one before
    scales: int = 1  # how many scales there are to choose from, each twice as wide as the one before
    padding: Padding = "zeros"  # what is outside of the image: nothing, or its outermost pixels

    @property
    def levels(self) -> int:
        """How many sizes of windows there are, over all scales."""
        return self.windows + self.scales - 1

    @property
    def widest(self) -> int:
        """Pixels a side of the widest window at the widest scale."""
        return self.side * 2 ** (self.levels - 1)

    def of(self, images: Tensor) -> "Sight":
        """Prepares images (B, C, height, width), uint8 or floating, for any number of glimpses.

        Raises:
            ValueError: the sensor is impossible, or its sharpest window is larger than the image.
        """
        height, width = images.shape[-2:]
        if min(self.side, self.windows, self.scales) < 1 or self.padding not in ("zeros", "edge"):
            raise ValueError(f"no such sensor: {self}")
        if self.side > min(height, width):
            raise ValueError(
                f"a glimpse of {self.side} pixels is larger than an image of {height} by {width} pixels"
            )
        margin = (self.widest + 1) // 2
        mode = "constant" if self.padding == "zeros" else "replicate"
        pixels = images if images.is_floating_point() else images.to(torch.float32)
        around = pad(pixels, (margin,) * 4, mode=mode)
        B, C, Y, X = around.shape
        means = around.new_zeros(B, self.levels, C, Y, X)
        means[:, 0] = around
        for level in range(1, self.levels):
            step = 2 ** (level - 1)
            pairs = means[:, level - 1, :, :, :-step] + means[:, level - 1, :, :, step:]
            fours = pairs[:, :, :-step] + pairs[:, :, step:]
            torch.mul(fours, 0.25, out=means[:, level, :, :-step, :-step])
        if not images.is_floating_point():
            means /= 255
        return Sight(self, means, height, width)

    def corners(self, places: Tensor, scale: Tensor | None, height: int, width: int) -> Tensor:
        """The top-left pixels of windows, (..., L, 2) int64, of which some may be outside of the image.

        Args:
            places: (..., 2), y and x; what is outside of the image counts as on its border.
            scale: (...) int64, None where there is one.
            height: of the image, in pixels.
            width: likewise.
        """
        y, x = places.to(torch.float32).clamp(-1, 1).add(1).unbind(-1)
        centre = torch.stack([y * (height / 2), x * (width / 2)], -1)
        half = self.sides(scale, places.device).unsqueeze(-1) / 2  # (..., L, 1)
        return (centre.unsqueeze(-2) - half + (0.5 + TIE)).floor().long()

    def sides(self, scale: Tensor | None, device: torch.device) -> Tensor:
        """Pixels a side of every window, (..., L) int64, at a scale (...)."""
        return self.side * 2 ** self.levels_of(scale, device)

    def levels_of(self, scale: Tensor | None, device: torch.device) -> Tensor:
        """The level of every window, (..., L) int64, at a scale (...)."""
        windows = torch.arange(self.windows, device=device)
        return windows if scale is None else windows + scale.unsqueeze(-1)

    def coverage(
        self, places: Tensor, scale: Tensor | None, height: int, width: int, window: int = -1
    ) -> Tensor:
        """Which pixels are in a window of at least one glimpse, (..., height, width) bool.

        Args:
            places: (..., G, 2).
            scale: (..., G) int64, None where there is one.
            height: of the image, in pixels.
            width: likewise.
            window: which of the L; the widest, which has all others in it, unless told.
        """
        corner = self.corners(places, scale, height, width)[..., window, :]  # (..., G, 2)
        side = self.sides(scale, places.device)[..., window].expand(corner.shape[:-1])

        def within(start: Tensor, length: int) -> Tensor:
            pixel = torch.arange(length, device=start.device)
            start, stop = start.unsqueeze(-1), (start + side).unsqueeze(-1)
            return ((pixel >= start) & (pixel < stop)).to(torch.float32)  # (..., G, length)

        rows, columns = within(corner[..., 0], height), within(corner[..., 1], width)
        return rows.transpose(-1, -2) @ columns > 0


class Sight(NamedTuple):
    """Images, ready for glimpses: the means of blocks at every offset and level."""

    sensor: Sensor
    means: Tensor  # (B, levels, C, Y, X), margins around the images included
    height: int
    width: int

    def patches(self, places: Tensor, scale: Tensor | None = None) -> Tensor:
        """All windows of all glimpses at once, (..., B, G, L, C, P, P), from 0 to 1 for uint8 images.

        Args:
            places: (..., B, G, 2), y and x.
            scale: (..., B, G) int64, which of the sensor's scales; None for the first.
        """
        sensor, device = self.sensor, self.means.device
        B, levels, C, Y, X = self.means.shape
        margin = (sensor.widest + 1) // 2
        index = torch.int32 if self.means.numel() < 2**31 else torch.int64  # half the indices' memory
        level = sensor.levels_of(scale, device).to(index)  # (..., L)
        corner = (sensor.corners(places, scale, self.height, self.width) + margin).to(index)
        datum = torch.arange(B, device=device, dtype=index).reshape(B, 1, 1)
        start = (datum * levels + level) * (C * Y * X) + corner[..., 0] * X + corner[..., 1]  # (..., L)
        pixel = torch.arange(sensor.side, device=device, dtype=index)
        block = (pixel.unsqueeze(-1) * X + pixel) * (2**level).reshape(*level.shape, 1, 1)
        channel = torch.arange(C, device=device, dtype=index).reshape(C, 1, 1) * (Y * X)
        at = start.reshape(*start.shape, 1, 1, 1) + channel + block.unsqueeze(-3)
        return self.means.flatten().index_select(0, at.flatten()).reshape(at.shape)
