"""Square patches of images around given centres: narrow windows are sharp, wide ones coarse.

A glimpse at (y, x) has windows with sides P, 2 P, 4 P, ..., all around the same centre and each averaged down
to P x P; at scale s every window is 2^s times as wide. Centres are normalised: (0, 0) is the centre of the
image, (-1, -1) its top-left corner and (1, 1) its bottom-right one. A window of w pixels begins at the pixel
nearest to the centre less w / 2; of two that are equally near, at the later one.

Windows overlap, and coarse ones hold many pixels. So the means of all blocks of 2^j by 2^j pixels, at every
offset, are computed once an image (each level from the one before: four numbers a mean), and a window is read
from P x P of them, whatever its width. Means are exact: sums of uint8 pixels times a power of two.

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 3.1.
Shapes: B data, G glimpses, P patch side; windows, channels, height and width are sizes too; ... = dims
inference adds on the left.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

Padding = Literal["zeros", "edge"]

TIE = 1e-4  # pixels: centres of cells, in single precision, are this near to where they should be


class Sensor(NamedTuple):
    """The windows of a glimpse."""

    side: int  # P, pixels of the sharpest window, and of every patch
    windows: int = 1  # each twice as wide as the one before
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
        """Prepares images (B, channels, height, width), uint8 or floating, for any number of glimpses.

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
        B, channels, rows, columns = around.shape
        means = around.new_zeros(B, self.levels, channels, rows, columns)
        means[:, 0] = around
        for level in range(1, self.levels):
            step = 2 ** (level - 1)
            pairs = means[:, level - 1, :, :, :-step] + means[:, level - 1, :, :, step:]
            fours = pairs[:, :, :-step] + pairs[:, :, step:]
            torch.mul(fours, 0.25, out=means[:, level, :, :-step, :-step])
        if not images.is_floating_point():
            means /= 255
        return Sight(self, means, height, width)

    def corners(self, centre: Tensor, scale: Tensor | None, height: int, width: int) -> Tensor:
        """The top-left pixels of windows, (..., windows, 2) int64; some may lie outside of the image.

        Args:
            centre: (..., 2), y and x; a point outside of the image counts as the nearest one on its border.
            scale: (...) int64, None where there is one.
            height, width: of the image, in pixels.
        """
        y, x = centre.to(torch.float32).clamp(-1, 1).add(1).unbind(-1)
        pixel = torch.stack([y * (height / 2), x * (width / 2)], -1)
        half = self.sides(scale, centre.device).unsqueeze(-1) / 2  # (..., windows, 1)
        return (pixel.unsqueeze(-2) - half + (0.5 + TIE)).floor().long()

    def sides(self, scale: Tensor | None, device: torch.device) -> Tensor:
        """Pixels a side of every window, (..., windows) int64, at a scale (...)."""
        return self.side * 2 ** self.levels_of(scale, device)

    def levels_of(self, scale: Tensor | None, device: torch.device) -> Tensor:
        """The level of every window, (..., windows) int64, at a scale (...)."""
        windows = torch.arange(self.windows, device=device)
        return windows if scale is None else windows + scale.unsqueeze(-1)

    def coverage(
        self, centre: Tensor, scale: Tensor | None, height: int, width: int, window: int = -1
    ) -> Tensor:
        """Which pixels are in a window of at least one glimpse, (..., height, width) bool.

        Args:
            centre, scale, height, width: as for `corners`, with a dim of G glimpses.
            window: the number of the window; by default the widest, which contains the others.
        """
        corner = self.corners(centre, scale, height, width)[..., window, :]  # (..., G, 2)
        side = self.sides(scale, centre.device)[..., window].expand(corner.shape[:-1])

        def within(start: Tensor, length: int) -> Tensor:
            pixel = torch.arange(length, device=start.device)
            start, stop = start.unsqueeze(-1), (start + side).unsqueeze(-1)
            return ((pixel >= start) & (pixel < stop)).to(torch.float32)  # (..., G, length)

        rows, columns = within(corner[..., 0], height), within(corner[..., 1], width)
        return rows.transpose(-1, -2) @ columns > 0


class Sight(NamedTuple):
    """Images prepared for glimpses: the means of blocks at every offset and level."""

    sensor: Sensor
    means: Tensor  # (B, levels, channels, rows, columns), with margins around the images
    height: int
    width: int

    def patches(self, centre: Tensor, scale: Tensor | None = None) -> Tensor:
        """All windows of all glimpses, (..., B, G, windows, channels, P, P), from 0 to 1 for uint8 images.

        Args:
            centre: (..., B, G, 2), y and x.
            scale: (..., B, G) int64, which of the sensor's scales; None for the first.
        """
        sensor, device = self.sensor, self.means.device
        B, levels, channels, rows, columns = self.means.shape
        margin = (sensor.widest + 1) // 2
        index = torch.int32 if self.means.numel() < 2**31 else torch.int64  # half the indices' memory
        level = sensor.levels_of(scale, device).to(index)  # (..., windows)
        corner = (sensor.corners(centre, scale, self.height, self.width) + margin).to(index)
        datum = torch.arange(B, device=device, dtype=index).reshape(B, 1, 1)
        image = (datum * levels + level) * (channels * rows * columns)  # (..., windows)
        start = image + corner[..., 0] * columns + corner[..., 1]
        pixel = torch.arange(sensor.side, device=device, dtype=index)
        block = (pixel.unsqueeze(-1) * columns + pixel) * (2**level).reshape(*level.shape, 1, 1)
        channel = torch.arange(channels, device=device, dtype=index).reshape(-1, 1, 1) * (rows * columns)
        at = start.reshape(*start.shape, 1, 1, 1) + channel + block.unsqueeze(-3)
        return self.means.flatten().index_select(0, at.flatten()).reshape(at.shape)
