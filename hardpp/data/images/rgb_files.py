"""Many picture files of any size, as colours in memory where they fit there, else decoded when asked for.

Whether they fit is decided once, from all of their sizes. It changes how long reading takes and nothing else:
what is kept is what decoding gives.

Shapes: N files, H x W pixels.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.images.opened_pictures import quiet
from hardpp.data.images.rgb_pictures import KnownPicture, check_picture, decode_rgb
from hardpp.data.lines import OnBad, Report
from hardpp.errors import DataError

KEPT = 2**30  # bytes of pixels that may stay in memory

AS_THEY_ARE = 2**31  # pixels; no shorter side has so many

_AT_ONCE = 4  # files looked at together, since most of the time goes into waiting for them
_SHOWN = 20  # pictures named in one message

T = TypeVar("T")


class RGBFiles:
    """Pictures read by place.

    Args:
        pictures: N of them.
        relative_to: Left out of the names, and of what the fingerprint has of the paths; None: of neither.
        shorter: Pixels that the shorter side of a picture has at most; larger ones are made smaller.
        kept_bytes: If all pictures together need no more than that, they stay in memory once decoded.
        contents: Of these files, where their hash may be known already.
    """

    def __init__(
        self,
        pictures: Sequence[KnownPicture],
        relative_to: Path | None,
        shorter: int,
        kept_bytes: int = KEPT,
        contents: FileContents | None = None,
    ):
        self.pictures, self.relative_to = pictures, relative_to
        self.shorter, self.kept_bytes = shorter, kept_bytes
        self._contents = contents or FileContents([picture.path for picture in pictures])
        shapes = (picture.shape.reduced(shorter) for picture in pictures)
        self.fits = sum(3 * shape.width * shape.height for shape in shapes) <= kept_bytes
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def names(self) -> list[str]:
        """N paths as people write them, with slashes."""
        paths = (picture.path for picture in self.pictures)
        folder = self.relative_to
        return [(path if folder is None else path.relative_to(folder)).as_posix() for path in paths]

    def read(self, place: int) -> NDArray[np.uint8]:
        """The pixels (H, W, 3) of a picture, not to be written to."""
        if (kept := self._kept.get(place)) is not None:
            return kept
        path, shape, *_ = self.pictures[place]
        pixels = decode_rgb(path, self.shorter)
        height, width, _ = pixels.shape
        if (width, height) != shape.reduced(self.shorter):
            raise DataError(f"{path}: has changed since it was first looked at")
        if self.fits:
            self._kept[place] = pixels
        return pixels

    def at(self, shorter: int) -> "RGBFiles":
        """The same pictures with other shorter sides."""
        return RGBFiles(self.pictures, self.relative_to, shorter, self.kept_bytes, self._contents)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all files, in order, and of the size they are kept at."""
        return sha256_of_json([self.shorter, self.names, self._contents.sha256])


def known_pictures(
    paths: Sequence[Path],
    shorter: int = AS_THEY_ARE,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> list[KnownPicture | None]:
    """Read the headers of pictures, None for each that is left out, and tell that this is going on.

    Args:
        paths: The files.
        shorter: See `RGBFiles`.
        on_bad: "stop" at the first that is no picture or is cut short, as far as its first and last bytes
            tell. "skip" decodes all of them, and leaves those out that cannot be.
        report: Told what is going on, and which pictures are left out.
    """
    decoded = ", and decoding them once" if on_bad == "skip" else ""
    report(f"reading the sizes of {len(paths)} images{decoded}")
    return look_at(paths, shorter, on_bad, report)


def look_at(paths: Sequence[Path], shorter: int, on_bad: OnBad, report: Report) -> list[KnownPicture | None]:
    """The same in silence, but for what is left out."""
    look = partial(_look, shorter=shorter if on_bad == "skip" else None)
    known: list[KnownPicture | None] = []
    bad: list[DataError] = []
    with quiet():
        for found in _side_by_side(look, paths):
            if isinstance(found, DataError):
                bad.append(found)
                if on_bad == "stop":
                    raise found
            known.append(None if isinstance(found, DataError) else found)
    if bad:
        more = f" (and {len(bad) - _SHOWN} more)" if len(bad) > _SHOWN else ""
        report(f"left out {len(bad)} images: {'; '.join(str(error) for error in bad[:_SHOWN])}{more}")
    if moving := [picture.path for picture in known if picture is not None and picture.moving]:
        report(f"of pictures with several frames the first is read: {len(moving)}, such as {moving[0]}")
    return known


def _look(path: Path, shorter: int | None) -> KnownPicture | DataError:
    try:
        known = check_picture(path)
        if shorter is not None:
            decode_rgb(path, shorter)
        return known
    except DataError as error:
        return error


def _side_by_side(look: Callable[[Path], T], paths: Sequence[Path]) -> Iterable[T]:
    # In the order of the paths; not all at once, so that a fault near the beginning is told soon.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(paths), 64 * _AT_ONCE):
            yield from pool.map(look, paths[start : start + 64 * _AT_ONCE])
