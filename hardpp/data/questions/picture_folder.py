"""Pictures of any folder, as images that questions are about."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hardpp.data.captions.named_pictures import NamedPictures
from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.images.picture_files import decoded
from hardpp.data.images.rgb_files import AS_THEY_ARE, look_at
from hardpp.data.lines import OnBad, Report
from hardpp.data.named_files import is_file
from hardpp.errors import DataError


class PictureFolder:
    """The pictures of some names, as `hardpp.data.questions.questions.Pictures`, all of one size.

    Args:
        names: Paths from where one works or from the folder, or names of files below it.
        folder: The folder.
        size: H, W of the pictures as they are read: larger and smaller ones are scaled and their middle is
            cut out, if that is a square; None for the sizes that they have.
        on_bad: "stop" at a picture that cannot be read, or "skip" it.
        report: Told what is left out.
    """

    kind: Literal["pixels", "regions"] = "pixels"
    channels = 3

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        size: Sequence[int] | None,
        on_bad: OnBad = "stop",
        report: Report = lambda text: None,
    ):
        self.size = None if size is None else (size[0], size[1])
        self._paths = _found(names, folder)
        known = look_at(list(self._paths.values()), AS_THEY_ARE, on_bad, report)
        for name, picture in zip(list(self._paths), known, strict=True):
            if picture is None:
                del self._paths[name]
            elif self.size is not None and picture.shape != self.size[::-1] and self.side is None:
                (width, height), (h, w) = picture.shape, self.size
                what = f"{picture.path}: has {width} x {height} pixels, and the run was trained on {w} x {h}"
                raise DataError(what, "make the picture of that size")

    def __contains__(self, image: str) -> bool:
        return image in self._paths

    @property
    def side(self) -> int | None:
        """Pixels a side at which all are read; None where they keep their size."""
        return self.size[0] if self.size is not None and self.size[0] == self.size[1] else None

    def read(self, image: str) -> NDArray[Any]:
        return decoded(self._paths[image], self.side, 3)

    def boxes(self, image: str) -> None:
        return

    def shown(self, image: str) -> NDArray[Any]:
        return np.ascontiguousarray(np.moveaxis(self.read(image), 0, -1))

    def gold(self, image: str) -> None:
        return

    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all files."""
        return sha256_of_json([list(self._paths), self._contents.sha256])

    @cached_property
    def _contents(self) -> FileContents:
        return FileContents(list(self._paths.values()))


def _found(names: Sequence[str], folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    below: NamedPictures | None = None
    for name in names:
        path: Path | None = next(filter(is_file, (folder / name, Path(name))), None)
        if path is None:
            below = below or NamedPictures(folder)
            path = below.find(name)
        if path is not None:
            paths[name] = path
    return paths
