"""The exact windows of an image that the outputs of convolutions without padding see.

With kernels k and strides s one after the other, an output sees `side` pixels, and the next one begins
`stride` pixels further:

    side = 1 + sum_l (k_l - 1) prod_{m < l} s_m,     stride = prod_l s_l

Output i sees exactly the pixels stride * i .. stride * i + side - 1 of the rows, and likewise of the columns.
Outputs are places of an image, numbered row by row.

Shapes: G places, C a side; ... = any dims.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class ReceptiveField(NamedTuple):
    """The windows that places see: `side` pixels a side, each `stride` pixels after the one before."""

    side: int
    stride: int

    def places(self, pixels: int) -> int:
        """C, how many windows fit into so many pixels; 0 or less: the image is too small."""
        return (pixels - self.side) // self.stride + 1

    def corners(self, place: Tensor, places: int) -> Tensor:
        """Row and column of the top left pixel, (..., 2), of places (...), row by row of `places` a side."""
        return torch.stack([place // places, place % places], -1) * self.stride

    def seen(self, place: Tensor, places: int, height: int, width: int) -> Tensor:
        """The pixels that any of the places (..., G) sees: (..., height, width) bool."""
        first = self.corners(place, places)  # (..., G, 2)
        inside = []
        for axis, pixels in enumerate((height, width)):
            pixel = torch.arange(pixels, device=place.device)
            start = first[..., axis].unsqueeze(-1)
            inside.append((pixel >= start) & (pixel < start + self.side))  # (..., G, pixels)
        rows, columns = inside
        return (rows.unsqueeze(-1) & columns.unsqueeze(-2)).any(-3)


def receptive_field(layers: Sequence[tuple[int, int]]) -> ReceptiveField:
    """The windows of layers without padding, (kernel, stride) each, one after the other."""
    side, stride = 1, 1
    for kernel, step in layers:
        side, stride = side + (kernel - 1) * stride, stride * step
    return ReceptiveField(side, stride)
