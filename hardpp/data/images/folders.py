"""A user's own images, one folder for each class.

    FOLDER/train/CLASS/**/*.png, FOLDER/dev/CLASS/..., FOLDER/test/CLASS/...
    FOLDER/CLASS/**/*.png

dev may be called val, valid or validation. Where there are no parts, a tenth of the images is for test and a
tenth for dev, by checksum of their paths; where only one of them is missing it is a tenth of train. Classes
are the folders of train, sorted. Files that are not called like pictures are passed over, hidden ones too.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.data.images.labelled import LabelledImages, Shown
from hardpp.data.images.picture_files import ENDINGS, PictureFiles
from hardpp.data.parts import PARTS, bucket
from hardpp.errors import DataError

_NAMES = {
    "train": ("train", "training"),
    "dev": ("dev", "val", "valid", "validation"),
    "test": ("test", "testing"),
}
_TENTH = 2  # of the 20 buckets


class _Labelled(NamedTuple):
    path: Path
    label: str


class Pictures:
    """Images of one part, decoded when they are asked for.

    Args:
        files: Those of all parts.
        places: (N,) int64, which of them are this part's.
        labels: (N,) int64.
    """

    def __init__(self, files: PictureFiles, places: Tensor, labels: Tensor):
        self.files, self.places, self.labels = files, places, labels

    @property
    def size(self) -> tuple[int, int, int]:
        """C, H, W."""
        return self.files.size

    @property
    def names(self) -> list[str]:
        """Paths below the folder, such as train/cat/007.png."""
        names = self.files.names
        return [names[place] for place in self.places.tolist()]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> Shown:
        """The images at those places, or all of them; they are the same in every epoch."""
        mine = self.places if places is None else self.places[torch.as_tensor(places)]
        return Shown(self.files.read(mine), None)

    def fingerprint(self) -> str:
        """SHA-256 of the names and sizes of all files, and of which are this part's, with their labels."""
        said = json.dumps([self.files.fingerprint(), self.places.tolist(), self.labels.tolist()])
        return hashlib.sha256(said.encode()).hexdigest()


def labelled_images(folder: Path | str, report: Callable[[str], None] = lambda text: None) -> LabelledImages:
    """Finds the images and looks at the size and mode of each.

    Args:
        folder: Laid out as above.
        report: Told in a few words what is going on.

    Raises:
        DataError: There are no images, a part or class has none, a class is not in train, or an image is
            damaged or of another size or mode than the rest; the message names the file or folder.
    """
    folder = Path(folder)
    parts = _split(folder, report)
    classes = tuple(sorted({one.label for one in parts["train"]}))
    if len(classes) < 2:
        raise DataError(
            f"{folder}: folders of two classes at least are wanted, found {', '.join(classes) or 'none'}",
            "lay images out as FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png, or FOLDER/CLASS/*.png",
        )
    for part in PARTS:
        if not parts[part]:
            raise DataError(
                f"{folder}: no image is for {part}", "more are needed, or folders train, dev and test"
            )
        for one in parts[part]:
            if one.label not in classes:
                raise DataError(f"{one.path}: is of class {one.label!r}, of which train has no image")
    everything = [one for part in PARTS for one in parts[part]]
    report(f"looking at {len(everything)} images")
    files = PictureFiles([one.path for one in everything], folder)  # one size and mode, across parts
    places = torch.arange(len(everything)).split([len(parts[part]) for part in PARTS])
    labels = torch.tensor([classes.index(one.label) for one in everything])
    train, dev, test = (Pictures(files, mine, labels[mine]) for mine in places)
    return LabelledImages(folder.resolve().name, train, dev, test, classes)


def _split(folder: Path, report: Callable[[str], None]) -> dict[str, list[_Labelled]]:
    parts: dict[str, list[_Labelled]] = {}
    for part, names in _NAMES.items():
        there = [folder / name for name in names if (folder / name).is_dir()]
        if len(there) > 1:
            raise DataError(f"{folder}: both {there[0].name} and {there[1].name} are there for {part}")
        if there:
            parts[part] = _listed(there[0])
    if "train" not in parts:
        if parts:
            raise DataError(f"{folder}: has a folder for {' and '.join(parts)}, and none for train")
        parts["train"] = _listed(folder)
    lacking = [part for part in PARTS if part not in parts]
    for turn, part in enumerate(lacking):
        report(f"keeping a tenth of the images for {part}")
        low = turn * _TENTH
        parts[part] = [one for one in parts["train"] if low <= _bucket(one, folder) < low + _TENTH]
    kept = len(lacking) * _TENTH
    parts["train"] = [one for one in parts["train"] if _bucket(one, folder) >= kept]
    return parts


def _bucket(one: _Labelled, folder: Path) -> int:
    return bucket(one.path.relative_to(folder).as_posix())


def _listed(folder: Path) -> list[_Labelled]:
    found: list[_Labelled] = []
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    for path in classes:
        files = sorted(file for file in path.rglob("*") if _is_picture(file.relative_to(folder)))
        if not files:
            raise DataError(f"{path}: a folder of a class without images")
        found += [_Labelled(file, path.name) for file in files]
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not any(name.startswith(".") for name in path.parts)
