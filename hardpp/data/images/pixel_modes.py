"""Pixels of every kind that picture files hold, made three colours or one shade of grey, of 8 bits.

16 bits of grey become 8 by their depth, CMYK and palettes become colours, and what is transparent becomes
white.

Shapes: H x W pixels.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hardpp.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # grey of more than 8 bits
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY = ("1", "L", "LA", "La", *_DEEP)
MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", *_TRANSPARENT, *_DEEP)  # pillow's names

_WHITE = 2**16 - 1


def channels_of(mode: str) -> int:
    """1 for the modes of grey pictures, 3 for those of coloured ones."""
    return 1 if mode in _GREY else 3


def with_channels(picture: "Image.Image", channels: int, path: Path) -> "Image.Image":
    """A picture of mode L (one channel) or RGB (three); `path` is its file, for messages."""
    mode = "L" if channels == 1 else "RGB"
    if picture.mode in _DEEP:
        return _eight_bits(picture, path).convert(mode)
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        picture = _on_white(picture.convert({"La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)))
    return picture.convert(mode)


def _on_white(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    coloured = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)


def _eight_bits(picture: "Image.Image", path: Path) -> "Image.Image":
    from PIL import Image

    grey = np.array(picture).astype(np.int64)  # (H, W)
    if not 0 <= grey.min() <= grey.max() <= _WHITE:
        raise DataError(f"{path}: has shades of grey of more than 16 bits, which are not read")
    if (clear := picture.info.get("transparency")) is not None:
        grey[grey == clear] = _WHITE
    return Image.fromarray(((grey * 255 + _WHITE // 2) // _WHITE).astype(np.uint8))
