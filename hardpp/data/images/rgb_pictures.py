"""Pictures of any size and kind of pixels, read as three colours of 8 bits.

What is transparent becomes white, 16 bits of grey become 8, CMYK and palettes become colours, and a picture
stands as viewers show it. Of one with several frames the first is read. Large pictures are made smaller on
the way: shorter sides of more than `shorter` pixels become `shorter`, whatever is done with them afterwards.

Shapes: H x W pixels.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardpp.data.images.opened_pictures import on_white, opened, turn_of, upright_size
from hardpp.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # grey of more than 8 bits
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", *_TRANSPARENT, *_DEEP)
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}  # what the last bytes of a whole file have
_LAST = 64  # bytes
_CLOSE = 3.0  # how far pillow may shrink by whole numbers first: nobody sees a difference
_WHITE = 2**16 - 1


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


def check_picture(path: Path) -> Shape:
    """Read the header of a picture; where its end is not what it should be, all of its pixels as well.

    Raises:
        DataError: it is no picture, is cut short, or has a kind of pixels that is not read.
    """
    with opened(path, _MODES) as picture:
        shape = Shape(*upright_size(picture))
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST))
            whole = _ENDS.get(picture.format or "", b"") in file.read()
        if not whole:
            picture.load()  # raises where pixels are lacking; others may follow the picture
    return shape


def decode_rgb(path: Path, shorter: int) -> NDArray[np.uint8]:
    """Decode a picture into pixels (H, W, 3), whose shorter side has at most so many."""
    from PIL import Image

    with opened(path, _MODES) as picture:
        turn = turn_of(picture)
        target = Shape(*picture.size).reduced(shorter)
        picture.draft(None, target)  # a JPEG may be decoded at a half, a quarter or an eighth of its size
        coloured = _coloured(picture, path)
        if coloured.size != target:
            # As sharp as the bicubic filter where it shrinks, and twice as fast.
            coloured = coloured.resize(target, Image.Resampling.HAMMING, reducing_gap=_CLOSE)
        if turn is not None:
            coloured = coloured.transpose(turn)
        return np.array(coloured)


def _coloured(picture: "Image.Image", path: Path) -> "Image.Image":
    if picture.mode in _DEEP:
        return _eight_bits(picture, path).convert("RGB")
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        picture = on_white(picture.convert({"La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)))
    return picture.convert("RGB")


def _eight_bits(picture: "Image.Image", path: Path) -> "Image.Image":
    from PIL import Image

    grey = np.array(picture).astype(np.int64)  # (H, W)
    if not 0 <= grey.min() <= grey.max() <= _WHITE:
        raise DataError(f"{path}: has shades of grey of more than 16 bits, which are not read")
    if (clear := picture.info.get("transparency")) is not None:
        grey[grey == clear] = _WHITE
    return Image.fromarray(((grey * 255 + _WHITE // 2) // _WHITE).astype(np.uint8))
