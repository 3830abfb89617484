"""The places that a glimpse may have: square patches of an image on a regular grid.

The first pixels of C patches of P pixels a side, along an image of S pixels, are the whole parts of C numbers
at equal distances, from 0 to S - P, so that the first and the last patch lie at the borders. Places are
numbered row by row.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, and the code of its authors.
Shapes: L = C * C places; height x width the image; ... = any dims.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def first_pixels(cell: Tensor, cells: int, last: int) -> Tensor:
    """Where cells (...) of so many along a side begin, the last of them at the pixel `last`: int64 (...)."""
    # In whole numbers: fractions that should be whole may come out just below, and be one pixel off.
    return cell * last // max(1, cells - 1)


class PatchGrid(NamedTuple):
    """Patches of an image."""

    size: int  # pixels a side of the image
    patch: int  # P
    cells: int  # C, a side
    last: int | None = None  # the first pixel of the last patch, where that is not at the border

    @property
    def places(self) -> int:
        """L."""
        return self.cells**2

    @property
    def starts(self) -> Tensor:
        """The first pixels of the patches along one side, (C,)."""
        last = self.size - self.patch if self.last is None else self.last
        return first_pixels(torch.arange(self.cells), self.cells, last)

    def corners(self, place: Tensor) -> Tensor:
        """Row and column of the top left pixels, (..., 2), of places (...)."""
        starts = self.starts.to(place.device)
        return torch.stack([starts[place // self.cells], starts[place % self.cells]], -1)

    def nearest(self, corner: Tensor) -> Tensor:
        """The places (...) whose corners are nearest to rows and columns (..., 2)."""
        apart = (corner.unsqueeze(-1) - self.starts.to(corner.device)).abs()  # (..., 2, C)
        row, column = apart.argmin(-1).unbind(-1)
        return row * self.cells + column

    def mask(self, place: Tensor) -> Tensor:
        """The pixels of each place (...): (..., size, size) bool."""
        rows, columns = self._inside(place).unbind(-2)
        return rows.unsqueeze(-1) & columns.unsqueeze(-2)

    def seen(self, places: Tensor, count: Tensor | None = None) -> Tensor:
        """The pixels of any of the places (..., T): (..., size, size) bool; none where T is 0.

        With a count (...) only the first so many places are.
        """
        inside = self._inside(places)  # (..., T, 2, size)
        if count is not None:
            counts = torch.arange(places.shape[-1], device=places.device) < count.unsqueeze(-1)
            inside = inside & counts.unsqueeze(-1).unsqueeze(-1)
        # How many patches a pixel is in, by a product: a mask of each patch would take far more memory.
        rows, columns = inside.to(torch.float32).unbind(-2)
        return rows.transpose(-1, -2) @ columns > 0

    # The rows and the columns of each place (...): (..., 2, size) bool.
    def _inside(self, place: Tensor) -> Tensor:
        first = self.corners(place).unsqueeze(-1)
        pixel = torch.arange(self.size, device=place.device)
        return (pixel >= first) & (pixel < first + self.patch)

    def coarse(self, step: int) -> Tensor:
        """Every `step`-th place along both sides, and the last ones: their numbers."""
        kept = [*range(0, self.cells - 1, step), self.cells - 1]
        along = torch.tensor(list(dict.fromkeys(kept)))
        return (along.unsqueeze(-1) * self.cells + along).flatten()

    def around(self, place: int, reach: int) -> Tensor:
        """The places at most `reach` rows and columns away, itself included."""
        row, column = divmod(place, self.cells)
        rows, columns = (
            torch.arange(max(0, at - reach), min(self.cells, at + reach + 1)) for at in (row, column)
        )
        return (rows.unsqueeze(-1) * self.cells + columns).flatten()
