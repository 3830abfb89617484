"""Pictures of any size and kind of pixels, read as three colours of 8 bits.

What is transparent becomes white, 16 bits of grey become 8, CMYK and palettes become colours, and a picture
stands as viewers show it. Of one with several frames the first is read. Large pictures are made smaller on
the way: shorter sides of more than `shorter` pixels become `shorter`, whatever is done with them afterwards.

Shapes: H x W pixels.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardpp.data.images.opened_pictures import check_end, has_frames, opened, turn_of, upright_size
from hardpp.data.images.pixel_modes import MODES, with_channels

_CLOSE = 3.0  # how far pillow may shrink by whole numbers first: nobody sees a difference


class Shape(NamedTuple):
    """Width and height of a picture as it is shown, in pixels."""

    width: int
    height: int

    def reduced(self, shorter: int) -> "Shape":
        """The shape whose shorter side has so many pixels; this one, if it is smaller."""
        least = min(self)
        if least <= shorter:
            return self
        return Shape(*(max(1, round(side * shorter / least)) for side in self))


class KnownPicture(NamedTuple):
    """A picture file whose header was read."""

    path: Path
    shape: Shape
    mode: str = "RGB"  # pillow's name for the kind of pixels
    moving: bool = False  # has it several frames?


def check_picture(path: Path) -> KnownPicture:
    """Read the header of a picture; where its end is not what it should be, all of its pixels as well.

    Raises:
        DataError: it is no picture, is cut short, or has a kind of pixels that is not read.
    """
    with opened(path, MODES) as picture:
        known = KnownPicture(path, Shape(*upright_size(picture)), picture.mode, has_frames(picture))
        check_end(picture, path)
    return known


def decode_rgb(path: Path, shorter: int) -> NDArray[np.uint8]:
    """Decode a picture into pixels (H, W, 3), whose shorter side has at most so many."""
    from PIL import Image

    with opened(path, MODES) as picture:
        turn = turn_of(picture)
        target = Shape(*picture.size).reduced(shorter)
        picture.draft(None, target)  # a JPEG may be decoded at a half, a quarter or an eighth of its size
        coloured = with_channels(picture, 3, path)
        if coloured.size != target:
            # As sharp as the bicubic filter where it shrinks, and twice as fast.
            coloured = coloured.resize(target, Image.Resampling.HAMMING, reducing_gap=_CLOSE)
        if turn is not None:
            coloured = coloured.transpose(turn)
        return np.array(coloured)
