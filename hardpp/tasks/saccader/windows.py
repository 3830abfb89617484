"""Where the windows that places see lie in a larger copy of their image, and patches cut there.

A place sees pixels a .. a + f - 1 of S, a row or column of the image. In L pixels that is a patch of
p = floor(L f / S) from

    exact      the whole number nearest to (L / S) a + (L f / S - p) / 2: the same middle
    authors    trunc((L (u + 3) - p) / 2) - L, for u = (1 - f / S) linspace(-1, 1, C)

The authors spread their C places over the whole image, though what is classified leaves a border of it out
(the last three rows and columns of 224): at the far end they cut a few pixels further on.

Source: Elsayed, Kornblith and Le (2019), Saccader; the authors' saccader_classnet and extract_glimpse.
Shapes: B images, G places, C places a side, p pixels a side of a patch.
"""

from typing import Literal

import torch
from torch import Tensor

from hardpp.ops.receptive_field import ReceptiveField

Geometry = Literal["exact", "authors"]


def patch_side(field: ReceptiveField, side: int, larger: int) -> int:
    """p, of what a place sees of an image of `side` pixels a side, in a copy of `larger` ones."""
    return larger * field.side // side


def patch_corners(field: ReceptiveField, place: Tensor, side: int, larger: int, geometry: Geometry) -> Tensor:
    """Row and column, in the larger copy, of the first pixel of each patch: int64 (..., 2) of places (...).

    The copy holds every patch whole; see `cut` for what would lie outside of it.
    """
    p, places = patch_side(field, side, larger), field.places(side)
    corner = field.corners(place, places)  # (..., 2)
    if geometry == "exact":
        return (2 * corner * larger + field.side * larger - p * side + side) // (2 * side)
    # In whole numbers over one denominator, so that no rounding moves a patch; trunc is floor, as all is
    # positive.
    steps = max(1, places - 1)
    turn = (2 * corner // field.stride - steps) * (side - field.side) + 3 * steps * side
    return (larger * turn - p * steps * side) // (2 * steps * side) - larger


def cut(images: Tensor, corners: Tensor, p: int) -> Tensor:
    """Patches (B, G, channels, p, p) of images (B, channels, height, width) at corners int64 (B, G, 2).

    What lies outside of an image has its outermost pixels.
    """
    along = torch.arange(p, device=images.device)
    rows, columns = (
        (corners[..., axis].unsqueeze(-1) + along).clamp(0, pixels - 1)  # (B, G, p)
        for axis, pixels in enumerate(images.shape[-2:])
    )
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1)
    patches = images.movedim(1, -1)[image, rows.unsqueeze(-1), columns.unsqueeze(-2)]
    return patches.movedim(-1, 2)
