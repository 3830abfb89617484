"""Files of features of image regions: bottom-up attention files, and NumPy archives.

    *.tsv   no header; image_id, width, height, regions, boxes and features, apart by TABs, the last two
            base64 of float32: (S, 4) and (S, F)
    *.npz   image_id (N) int, features (N, S, F), boxes (N, S, 4), and where images have fewer than S
            regions, num_boxes (N) int

A TSV file is gone through once for where each image's line begins; a line is decoded when its image is
asked for, since such files are larger than memory. Published files hold some images twice: the first
line counts.

Shapes: N images of a file, S regions, F features.
"""

import base64
import binascii
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hardpp.data.npz_archives import read_arrays
from hardpp.errors import DataError

_COLUMNS = 6
_DIGITS = 20  # of a number, at most
_FIRST = 2**10  # bytes that tell what a file is


class Regions(NamedTuple):
    """The regions of one image."""

    features: NDArray[Any]  # (S, F) float32
    boxes: NDArray[Any]  # (S, 4) float32: left, top, right, bottom


class RegionFile(Protocol):
    """A file of the regions of images."""

    path: Path

    @property
    def images(self) -> list[str]:
        """The names of the images, in the order of the file."""

    def regions(self, image: str) -> Regions:
        """The regions of an image."""

    def place(self, image: str) -> str:
        """Where an image stands, for messages."""


def may_have_regions(path: Path) -> bool:
    """Whether a TSV file may be one of bottom-up attention: it begins with a number, or has long lines."""
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST)
    except OSError:
        return True  # its reader says so
    return b"\n" not in first or first.partition(b"\n")[0].count(b"\t") >= _COLUMNS - 3


class TsvFile:
    """A bottom-up attention file."""

    def __init__(self, path: Path):
        self.path = path
        self.places: dict[str, tuple[int, int]] = {}  # image -> line number, offset
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.count(b"\t") != _COLUMNS - 1:
                    columns = line.count(b"\t") + 1
                    raise DataError(f"{path}:{number}: {columns} columns found where {_COLUMNS} are wanted")
                image = line[: line.index(b"\t")].decode("ascii", "replace")
                if not (image.isdigit() and len(image) < _DIGITS):
                    raise DataError(f"{path}:{number}: {image[:20]!r} is no image_id")
                self.places.setdefault(str(int(image)), (number, offset))
                offset += len(line)
        if not self.places:
            raise DataError(f"{path}: the file is empty")

    @property
    def images(self) -> list[str]:
        return list(self.places)

    def regions(self, image: str) -> Regions:
        number, offset = self.places[image]
        with self.path.open("rb") as file:
            file.seek(offset)
            _, _, _, count, boxes, features = file.readline().rstrip(b"\r\n").split(b"\t")
        try:
            S = int(count)
            corners, values = (
                np.frombuffer(base64.b64decode(part, validate=True), "<f4") for part in (boxes, features)
            )
            if S < 1 or corners.size != 4 * S or values.size % S or not values.size:
                raise ValueError(f"{corners.size} and {values.size} numbers for {S} regions")
        except (ValueError, binascii.Error) as error:
            raise DataError(f"{self.path}:{number}: boxes and features of no sense ({error})") from error
        return Regions(values.reshape(S, -1), corners.reshape(S, 4))

    def place(self, image: str) -> str:
        return f"{self.path}:{self.places[image][0]}"


class NpzFile:
    """A NumPy archive, held in memory."""

    def __init__(self, path: Path):
        self.path = path
        parts = read_arrays(path, ("image_id", "features", "boxes", "num_boxes"))
        try:
            ids, self.features, self._boxes = (parts[name] for name in ("image_id", "features", "boxes"))
        except KeyError as error:
            raise DataError(f"{path}: the archive lacks {error}") from error
        N, S = self.features.shape[:2] if self.features.ndim == 3 else (-1, -1)
        self.counts = parts.get("num_boxes", np.full(len(ids), S))
        shapes = [ids.shape, self._boxes.shape, self.counts.shape]
        if shapes != [(N,), (N, S, 4), (N,)] or not N:
            raise DataError(
                f"{path}: image_id (N), features (N, S, F), boxes (N, S, 4) are wanted, "
                f"got {ids.shape}, {self.features.shape}, {self._boxes.shape}"
            )
        if ids.dtype.kind not in "iu" or not ((self.counts >= 1) & (self.counts <= S)).all():
            raise DataError(f"{path}: image_id has to be whole numbers, and num_boxes from 1 to {S}")
        if any(part.dtype.kind not in "fiu" for part in (self.features, self._boxes)):
            raise DataError(f"{path}: features and boxes have to be real numbers")
        self.rows = {str(int(image)): row for row, image in reversed(list(enumerate(ids)))}

    @property
    def images(self) -> list[str]:
        return list(self.rows)

    def regions(self, image: str) -> Regions:
        row = self.rows[image]
        rows = (part[row, : int(self.counts[row])] for part in (self.features, self._boxes))
        return Regions(*(np.asarray(part, np.float32) for part in rows))

    def place(self, image: str) -> str:
        return f"{self.path}: image_id {image}"
