"""The rectangle of a picture that is shown: drawn anew in every epoch, or the middle.

To train, a crop is drawn, at most 100 times, until one lies within the picture; else it is the whole picture:

    area   ~ Uniform(smallest_area, 1)        of the area of the picture
    aspect ~ Uniform(3/4, 4/3)                width / height, in pixels
    place  ~ Uniform over all places          where it lies within the picture
    mirrored with probability 1/2

To evaluate, it is the square in the middle, of a side of min(width, height) side / (side + floor(side / 10)),
for `side` pixels in the end. What is drawn depends on the seed, the epoch and the number of the picture
alone, and is the same part of the picture at every side.

Source: the data of Elsayed, Kornblith and Le (2019), Saccader, as in Szegedy et al. (2015), Going Deeper with
Convolutions. Their own sampler draws the height rather than the area.
"""

from math import sqrt
from typing import NamedTuple

from hardpp.data.images.rgb_pictures import Shape
from hardpp.data.uniforms import uniforms

SMALLEST_AREA = 0.08
TRIES = 100

_VERSION = 1  # of how crops are drawn; other crops have another
_ASPECTS = 3 / 4, 4 / 3


class Crop(NamedTuple):
    """A rectangle within a picture, all numbers in shares of its width and height, from 0 to 1."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool = False

    def pixels(self, shape: Shape) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in whole pixels, the last two exclusive, of a rectangle with area."""
        left, right = _span(self.left, self.width, shape.width)
        top, bottom = _span(self.top, self.height, shape.height)
        return left, top, right, bottom

    def within(self, region: "Crop") -> "Crop":
        """The same part of a region as this is of a picture, in shares of the whole picture."""
        left, top = region.left + self.left * region.width, region.top + self.top * region.height
        return Crop(left, top, self.width * region.width, self.height * region.height, self.mirrored)


class Augmentation(NamedTuple):
    """How crops to train on are drawn."""

    seed: int = 0
    smallest_area: float = SMALLEST_AREA  # a share of the picture, above 0 and at most 1
    flip: bool = True  # whether half of them are mirrored; for what has no left and right of its own

    def crop(self, shape: Shape, epoch: int, index: int) -> Crop:
        """Draw the crop of the picture of a number in an epoch."""
        key = f"crop {_VERSION} seed {self.seed} epoch {epoch} image {index}"
        mirror, x, y, *tries = uniforms(key, 3 + 2 * TRIES).tolist()
        mirrored = self.flip and mirror < 0.5
        least, most = _ASPECTS
        for area, aspect in zip(tries[::2], tries[1::2], strict=True):
            # width / height of the crop, both as shares of the picture's
            ratio = (least + (most - least) * aspect) * shape.height / shape.width
            share = self.smallest_area + (1 - self.smallest_area) * area
            width, height = sqrt(share * ratio), sqrt(share / ratio)
            if width <= 1 and height <= 1:
                return Crop(x * (1 - width), y * (1 - height), width, height, mirrored)
        return Crop(0.0, 0.0, 1.0, 1.0, mirrored)


def middle(shape: Shape, side: int) -> Crop:
    """The square in the middle that is shown in evaluations."""
    length = min(shape) * side / (side + side // 10)
    width, height = length / shape.width, length / shape.height
    return Crop((1 - width) / 2, (1 - height) / 2, width, height)


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    extent = min(pixels, max(1, round(length * pixels)))
    first = min(round(start * pixels), pixels - extent)
    return first, first + extent
