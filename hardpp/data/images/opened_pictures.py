"""Open picture files by their content, whatever their names say, and tell the way up they are shown.

A camera that is held upright stores its picture lying on its side, and says so in the EXIF orientation, a
number from 1 to 8. Viewers turn it, and so must readers (`turn_of`).
"""

import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hardpp.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {  # orientation -> what makes the stored picture upright, by pillow's names
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_ON_ITS_SIDE = 5  # this orientation and those above exchange width and height


@contextmanager
def opened(path: Path, modes: Collection[str]) -> Iterator["Image.Image"]:
    """Open a picture, whose pixels are read when they are asked for, and close it after the block.

    Args:
        path: The file.
        modes: Pillow's names for the kinds of pixels that are read.

    Raises:
        DataError: it is no picture or a broken one, has another mode, or has pixels that do not come out in
            the block.
    """
    from PIL import Image  # slow to import, and `hardpp --help` never needs it

    try:
        with quiet(), Image.open(path) as picture:
            if picture.mode not in modes:
                raise DataError(f"{path}: a picture of mode {picture.mode}, which is not read")
            yield picture
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).replace(f" '{path}'", "")
        raise DataError(f"{path}: not a readable picture ({reason})") from error


def orientation(picture: "Image.Image") -> int:
    """The EXIF orientation of a picture whose pixels were not read yet, 1 (upright) where none is given."""
    if picture.format == "TIFF":
        return 1  # pillow turns these by itself
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1  # asked for it, pillow would decode all pixels to look behind them
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, EOFError, OSError):  # a damaged table
        return 1
    return found if found in _TURNS else 1


def upright_size(picture: "Image.Image") -> tuple[int, int]:
    """Width and height of a picture once it is upright."""
    width, height = picture.size
    return (height, width) if orientation(picture) >= _ON_ITS_SIDE else (width, height)


def turn_of(picture: "Image.Image") -> "Image.Transpose | None":
    """What makes a picture upright, asked before its pixels are read; None where it is so already."""
    from PIL import Image

    name = _TURNS.get(orientation(picture))
    return None if name is None else Image.Transpose[name]


def on_white(picture: "Image.Image") -> "Image.Image":
    """A picture with transparency laid on white (RGBA)."""
    from PIL import Image

    coloured = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings, which are of odd metadata that is not read; outside of the main thread do nothing.

    All threads share one list of filters, which two of them at once would leave in disorder.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
