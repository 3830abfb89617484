"""Square patches of images around given centres: narrow windows are sharp, wide ones coarse.

A glimpse at (y, x) has windows with sides P, 2 P, 4 P, ..., all around the same centre and each averaged down
to P x P; at scale s every window is 2^s times as wide. Centres are normalised: (0, 0) is the centre of the
image, (-1, -1) its top-left corner and (1, 1) its bottom-right one. A window of w pixels begins at the pixel
nearest to the centre less w / 2; of two that are equally near, at the later one.

Windows overlap, and coarse ones hold many pixels. So sums of all pixels above and left of every point are
computed once an image, and the sum of any block is read from four of them, whatever its width: a window from
the (P + 1) x (P + 1) corners of its blocks. Sums of uint8 pixels are whole numbers, and means of them exact.

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 3.1.
Shapes: B data, G glimpses, P patch side; windows, channels, height and width are sizes too; ... = dims
inference adds on the left.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

Padding = Literal["zeros", "edge"]

_IN_CACHE = 2**18  # sums read at once on a processor, whose memory is slower than its cache

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
        margin = (self.widest + 1) // 2 if self.padding == "edge" else 0
        pixels = images
        if margin:
            rows, columns = (_edge(length, margin, images.device) for length in (height, width))
            pixels = images[..., rows.unsqueeze(-1), columns]
        exact = torch.int32 if pixels.shape[-2:].numel() * 255 < 2**31 else torch.int64
        if images.is_floating_point():  # differences of sums lose digits, which a wider type has to spare
            exact = images.dtype if images.device.type == "mps" else torch.float64
        sums = pad(pixels.to(exact), (1, 0, 1, 0)).cumsum(-1, dtype=exact)
        # Sums along the last dim are the fast ones, so that images lie on their side from here.
        sums = sums.transpose(-1, -2).contiguous().cumsum(-1, dtype=exact)
        B, channels, *sides = sums.shape
        # The narrowest numbers that tell all sums apart: half the indices' memory.
        index = torch.int32 if sums.numel() < 2**31 else torch.int64
        plane = sides[0] * sides[1]
        first = torch.arange(0, B * channels * plane, plane, device=images.device, dtype=index)
        block = 2 ** torch.arange(self.levels, device=images.device)
        white, wide = (1, exact) if images.is_floating_point() else (255, torch.float32)
        return Sight(
            self, sums.flatten(), sums.shape, first.reshape(B, 1, 1, channels, 1, 1),
            block.unsqueeze(-1) * torch.arange(self.side + 1, device=images.device),
            block.square().to(wide) * white, margin, height, width, images.dtype,
        )  # fmt: skip

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


class Marks(NamedTuple):
    """Where windows are cut from images that are all of one size: what is between the blocks of each.

    Rows (..., windows, 1, P + 1, 1) and columns (..., windows, 1, 1, P + 1) are offsets into the sums of an
    image, int. The area, floating, is the pixels of a block times what a white one counts, (..., windows, 1,
    1, 1), without the first dims where all glimpses have the same.
    """

    rows: Tensor
    columns: Tensor
    area: Tensor

    def at(self, number: Tensor) -> "Marks":
        """Those of other glimpses (...), by their numbers in a list of glimpses."""
        area = self.area[number] if self.area.dim() > 4 else self.area
        return Marks(self.rows[number], self.columns[number], area)

    def part(self, dim: int, start: int, count: int) -> "Marks":
        """Some along a dim of `...`."""
        area = self.area.narrow(dim, start, count) if self.area.dim() > 4 else self.area
        return Marks(self.rows.narrow(dim, start, count), self.columns.narrow(dim, start, count), area)


class Sight(NamedTuple):
    """Images prepared for glimpses: of every point, the sums of what is above and left of it."""

    sensor: Sensor
    sums: Tensor  # (B x channels x columns x rows)
    shape: torch.Size  # B, channels, columns, rows, in which images lie on their side
    first: Tensor  # (B, 1, 1, channels, 1, 1) where the sums of each begin
    steps: Tensor  # (levels, P + 1) pixels from the edge of a window to those of its blocks
    areas: Tensor  # (levels,) floating, see `Marks`
    margin: int  # pixels around the images
    height: int
    width: int
    dtype: torch.dtype  # of the images

    @property
    def patch(self) -> tuple[int, ...]:
        """Of all windows of a glimpse: windows, channels, P, P."""
        return self.sensor.windows, self.shape[1], self.sensor.side, self.sensor.side

    def patches(self, centre: Tensor, scale: Tensor | None = None) -> Tensor:
        """All windows of all glimpses, (..., B, G, windows, channels, P, P), from 0 to 1 for uint8 images.

        Args:
            centre: (..., B, G, 2), y and x.
            scale: (..., B, G) int64, which of the sensor's scales; None for the first.
        """
        return self.cut(self.marks(centre, scale))

    def marks(self, centre: Tensor, scale: Tensor | None = None) -> Marks:
        """Where the windows of glimpses (...) are, of whichever image; arguments as for `patches`."""
        sensor = self.sensor
        corner = sensor.corners(centre, scale, self.height, self.width)  # (..., windows, 2)
        level = sensor.levels_of(scale, centre.device)  # (..., windows)
        edges = (corner + self.margin).unsqueeze(-1) + self.steps[level].unsqueeze(-2)  # (.., 2, P + 1)
        row, column = edges.to(self.first.dtype).unbind(-2)
        *_, columns, rows = self.shape
        # Beyond the border sums stay as they are: nothing is added there.
        row, column = row.clamp(0, rows - 1), column.clamp(0, columns - 1) * rows
        area = self.areas[level][..., None, None, None]
        return Marks(row[..., None, :, None], column[..., None, None, :], area)

    def of_images(self, number: Tensor) -> "Sight":
        """The same of other images, by their numbers (N,), one of which may occur several times."""
        shape = torch.Size([len(number), *self.shape[1:]])
        return self._replace(first=self.first[number], shape=shape)

    def cut(self, marks: Marks, out: Tensor | None = None) -> Tensor:
        """What `patches` gives, of windows at marks (..., B, G, ...); `out` is memory for it."""
        count = marks.rows.numel() * self.shape[1] * marks.columns.shape[-1]
        if count > 2 * _IN_CACHE and self.sums.device.type == "cpu":
            dim = 0 if marks.rows.dim() > 6 and len(marks.rows) > 1 else marks.rows.dim() - 5
            length = marks.rows.shape[dim]
            if length > 1:
                some = max(1, length * _IN_CACHE // count)
                places = [(dim, n, min(some, length - n)) for n in range(0, length, some)]
                if out is None:
                    return torch.cat([self.cut(marks.part(*place)) for place in places], dim)
                for place in places:
                    self.cut(marks.part(*place), out.narrow(*place))
                return out
        at = marks.rows + self.first + marks.columns  # (..., B, G, windows, channels, P + 1, P + 1)
        sums = self.sums.index_select(0, at.view(-1)).view(at.shape)
        strips = sums[..., 1:, :] - sums[..., :-1, :]
        means = torch.div(strips[..., 1:] - strips[..., :-1], marks.area, out=out)
        return means.to(self.dtype) if self.dtype.is_floating_point else means


# The pixels of a side with so many more at both ends, which are its outermost ones.
def _edge(length: int, margin: int, device: torch.device) -> Tensor:
    return torch.arange(-margin, length + margin, device=device).clamp(0, length - 1)
