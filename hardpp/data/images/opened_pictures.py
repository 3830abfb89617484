"""Open picture files by their content, whatever their names say, and tell the way up they are shown.

A camera that is held upright stores its picture lying on its side, and says so in the EXIF orientation, a
number from 1 to 8. Viewers turn it, and so must readers (`turn_of`).
"""

import struct
import threading
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hardpp.errors import DataError, ResourceError

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
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}  # what the last bytes of a whole file have
_LAST = 64  # bytes
# What pillow raises at files that are none of its, or damaged.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
_HINT = "mend or remove it, or leave such pictures out with --on-bad skip"
_A_PIXEL, _SPARE = 32, 2**26  # bytes: in several modes at once, and for what reads them
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
        ResourceError: a sound one that does not fit into memory.
    """
    from PIL import Image  # slow to import, and `hardpp --help` never needs it

    pixels = 0
    try:
        with quiet(), Image.open(path) as picture:
            pixels = picture.size[0] * picture.size[1]
            if picture.mode not in modes:
                raise DataError(f"{path}: a picture of mode {picture.mode}, which is not read", _HINT)
            yield picture
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such picture") from error
    except MemoryError as error:
        if _fits(pixels):  # what asked for more is a damaged length
            reason = f"a length in it is beyond what its {pixels:,} pixels take"
            raise DataError(f"{path}: not a readable picture ({reason})", _HINT) from error
        raise ResourceError(f"{path}: {pixels:,} pixels do not fit into memory", _HINT) from error
    except (*_FAULTS, Image.DecompressionBombError) as error:
        reason = str(error).replace(f" '{path}'", "")
        raise DataError(f"{path}: not a readable picture ({reason})", _HINT) from error


# Whether there is memory for so many pixels, and for what is made of them on the way.
def _fits(pixels: int) -> bool:
    try:
        np.empty(_SPARE + _A_PIXEL * pixels, np.uint8)
    except MemoryError:
        return False
    return True


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


def has_frames(picture: "Image.Image") -> bool:
    """Whether a picture has several frames; the small ones that cameras add to a photograph are none."""
    return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))


def check_end(picture: "Image.Image", path: Path) -> None:
    """Decode a picture whose file does not end as it should, which raises where pixels are lacking."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST))
        ends = _ENDS.get(picture.format or "", b"") in file.read()
    if not ends:
        picture.load()  # other bytes may follow a whole picture


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
