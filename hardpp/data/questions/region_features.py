"""Features of image regions that somebody else computed: bottom-up attention files, or NumPy archives.

    *.tsv   no header; image_id, width, height, regions, boxes and features, apart by TABs, the last two
            base64 of float32: (S, 4) and (S, F)
    *.npz   image_id (N) int, features (N, S, F), boxes (N, S, 4), and where images have fewer than S
            regions, num_boxes (N) int

A TSV file is gone through once for where each image's line begins; a line is decoded when its image is
asked for, since such files are larger than memory. Published files hold some images twice: the first
line counts. Pickled files are refused, as reading one runs whatever code is in it. All images have as many
features a region, and all numbers are finite; what is not so is named when its image is read.

Source: Anderson et al. (2018), Bottom-Up and Top-Down Attention, and the files published with it.
Shapes: N images of a file, S regions, F features.
"""

import base64
import binascii
import hashlib
import json
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hardpp.data.images.rasters import Box
from hardpp.errors import DataError

_COLUMNS = 6
_PICKLED = {".pkl", ".pickle", ".pt", ".pth", ".npy"}


class Regions(NamedTuple):
    """What was found in one image."""

    features: NDArray[Any]  # (S, F) float32
    boxes: NDArray[Any]  # (S, 4) float32: left, top, right, bottom


class _File(Protocol):
    path: Path

    @property
    def images(self) -> list[str]: ...

    def regions(self, image: str) -> Regions: ...

    def place(self, image: str) -> str: ...


class RegionFeatures:
    """Regions of the images of several files; `hardpp.data.questions.questions.Pictures` for a network."""

    kind: Literal["pixels", "regions"] = "regions"

    def __init__(self, files: list[_File]):
        self.files = files
        self._file: dict[str, _File] = {}
        for file in files:
            for image in file.images:
                self._file.setdefault(image, file)

    @classmethod
    def of_folder(cls, folder: Path, report: Callable[[str], None]) -> "RegionFeatures":
        """Every feature file of a folder.

        Raises:
            DataError: there is none, or it is not as described.
        """
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".tsv", ".npz"))
        if not paths:
            pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
            if pickled:
                raise DataError(
                    f"{folder / pickled[0]}: pickled files are not read, as that runs the code in them",
                    "save the arrays with numpy.savez: image_id, features, boxes",
                )
            raise DataError(f"{folder}: there are no region features (*.tsv or *.npz)")
        files: list[_File] = []
        for path in paths:
            report(f"looking through {path.name}")
            files.append(_Lines(path) if path.suffix == ".tsv" else _Archive(path))
        return cls(files)

    @cached_property
    def channels(self) -> int:
        """F, of the first image."""
        first, file = next(iter(self._file.items()))
        return int(file.regions(first).features.shape[-1])

    def __contains__(self, image: str) -> bool:
        return image in self._file

    def read(self, image: str) -> NDArray[Any]:
        """Features (S, F), float32."""
        return self._regions(image).features

    def boxes(self, image: str) -> list[Box]:
        """S boxes."""
        return [(box[0], box[1], box[2], box[3]) for box in self._regions(image).boxes.tolist()]

    def shown(self, image: str) -> None:
        """There are no pixels."""
        return

    def gold(self, image: str) -> None:
        """Nobody knows where one has to look."""
        return

    def fingerprint(self) -> str:
        """SHA-256 of the names and sizes of all files."""
        listed = [(file.path.name, file.path.stat().st_size) for file in self.files]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def _regions(self, image: str) -> Regions:
        if image not in self._file:
            raise DataError(f"there are no features of image_id {image}")
        file = self._file[image]
        regions = file.regions(image)
        for name, part in regions._asdict().items():
            if not np.isfinite(part).all():
                raise DataError(f"{file.place(image)}: {name} that are not finite numbers")
        if regions.features.shape[-1] != self.channels:
            first, first_file = next(iter(self._file.items()))
            raise DataError(
                f"{file.place(image)}: regions have {regions.features.shape[-1]} features, and those of "
                f"{first_file.place(first)} have {self.channels}",
                "all images need features of the same network",
            )
        return regions


class _Lines:
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
                if not image.isdigit():
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


class _Archive:
    def __init__(self, path: Path):
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as archive:
                parts = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an archive of plain numbers ({error})") from error
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
