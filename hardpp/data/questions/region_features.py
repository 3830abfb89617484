"""Features of image regions that somebody else computed, for the images of questions.

The files are those of `hardpp.data.questions.region_files`. Pickled files are refused, as reading one runs
whatever code is in it. All images have as many features a region, and all numbers are finite; what is not so
is named when its image is read.

Source: Anderson et al. (2018), Bottom-Up and Top-Down Attention, and the files published with it.
Shapes: S regions, F features.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.images.rasters import Box
from hardpp.data.lines import Report
from hardpp.data.questions.region_files import NpzFile, RegionFile, Regions, TsvFile, may_have_regions
from hardpp.errors import DataError

_PIXELS = "pictures themselves are read for data laid out as easy-vqa's are"
_PICKLED = {".pkl", ".pickle", ".pt", ".pth", ".npy"}


def feature_files(folder: Path, but: Path | None = None) -> list[Path]:
    """The files of a folder that hold features of regions, but for one file: other lists are none of them."""
    return sorted(
        path
        for path in folder.iterdir()
        if path != but and (path.suffix == ".npz" or (path.suffix == ".tsv" and may_have_regions(path)))
    )


class RegionFeatures:
    """The images of several files as `hardpp.data.questions.questions.Pictures`."""

    kind: Literal["pixels", "regions"] = "regions"

    def __init__(self, files: list[RegionFile]):
        self.files, self._contents = files, FileContents([file.path for file in files])
        self._file: dict[str, RegionFile] = {}
        for file in files:
            for image in file.images:
                self._file.setdefault(image, file)

    @classmethod
    def of_folder(cls, folder: Path, report: Report, but: Path | None = None) -> "RegionFeatures":
        """Read every feature file of a folder, but for one file."""
        paths = feature_files(folder, but)
        if not paths:
            pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
            if pickled:
                raise DataError(
                    f"{folder / pickled[0]}: pickled files are not read, as that runs the code in them",
                    "save the arrays with numpy.savez: image_id, features, boxes",
                )
            raise DataError(f"{folder}: there are no region features (*.tsv or *.npz)", _PIXELS)
        files: list[RegionFile] = []
        for path in paths:
            report(f"searching {path.name}")
            files.append(TsvFile(path) if path.suffix == ".tsv" else NpzFile(path))
        return cls(files)

    @cached_property
    def channels(self) -> int:
        """F, of the first image."""
        first, file = next(iter(self._file.items()))
        return int(file.regions(first).features.shape[-1])

    def __contains__(self, image: str) -> bool:
        return image in self._file

    def read(self, image: str) -> NDArray[Any]:
        return self._regions(image).features

    def boxes(self, image: str) -> list[Box]:
        return [(box[0], box[1], box[2], box[3]) for box in self._regions(image).boxes.tolist()]

    def shown(self, image: str) -> None:
        return

    def gold(self, image: str) -> None:
        return

    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all files."""
        return sha256_of_json([[file.path.name for file in self.files], self._contents.sha256])

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
