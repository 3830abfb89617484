"""A user's own images, one folder for each class.

    FOLDER/train/CLASS/**/*.png, FOLDER/dev/CLASS/..., FOLDER/test/CLASS/...
    FOLDER/CLASS/**/*.png

dev may be called val, valid or validation. Where there are no parts, a tenth of the images is for test and a
tenth for dev, by checksum of their paths; where only one of them is missing it is a tenth of train. Classes
are the folders of train, sorted. Files that are not called like pictures are passed over, hidden ones too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.labelled import ImagesWithBoxes, LabelledImages
from hardpp.data.images.picture_files import ENDINGS, PictureFiles
from hardpp.data.lines import Report
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
    """Images of one part, decoded when they are asked for; they are the same in every epoch.

    Args:
        files: Those of all parts.
        places: (N,) int64, which of them are this part's.
        labels: (N,) int64.
    """

    def __init__(self, files: PictureFiles, places: Tensor, labels: Tensor):
        self.files, self.places, self.labels = files, places, labels

    @property
    def size(self) -> tuple[int, int, int]:
        return self.files.size

    @property
    def names(self) -> list[str]:
        """Paths below the folder, such as train/cat/007.png."""
        names = self.files.names
        return [names[place] for place in self.places.tolist()]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        files_read = self.places if places is None else self.places[torch.as_tensor(places)]
        return ImagesWithBoxes(self.files.read(files_read), None)

    def fingerprint(self) -> str:
        """SHA-256 of the names and sizes of all files, and of the places and labels of this part."""
        return sha256_of_json([self.files.fingerprint(), self.places.tolist(), self.labels.tolist()])


def labelled_images(folder: Path | str, report: Report = lambda text: None) -> LabelledImages:
    """Find the images of a folder, and check that all are of one size and mode, and all classes in train."""
    folder = Path(folder)
    parts = _split(folder, report)
    classes = tuple(sorted({image.label for image in parts["train"]}))
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
        for image in parts[part]:
            if image.label not in classes:
                raise DataError(f"{image.path}: is of class {image.label!r}, of which train has no image")
    images = [image for part in PARTS for image in parts[part]]
    report(f"reading the sizes of {len(images)} images")
    files = PictureFiles([image.path for image in images], folder)  # one size and mode, across parts
    places = torch.arange(len(images)).split([len(parts[part]) for part in PARTS])
    labels = torch.tensor([classes.index(image.label) for image in images])
    train, dev, test = (Pictures(files, part_places, labels[part_places]) for part_places in places)
    return LabelledImages(folder.resolve().name, train, dev, test, classes)


def _split(folder: Path, report: Report) -> dict[str, list[_Labelled]]:
    parts: dict[str, list[_Labelled]] = {}
    for part, names in _NAMES.items():
        folders = [folder / name for name in names if (folder / name).is_dir()]
        if len(folders) > 1:
            raise DataError(f"{folder}: both {folders[0].name} and {folders[1].name} are there for {part}")
        if folders:
            parts[part] = _listed(folders[0])
    if "train" not in parts:
        if parts:
            raise DataError(f"{folder}: has a folder for {' and '.join(parts)}, and none for train")
        parts["train"] = _listed(folder)
    missing = [part for part in PARTS if part not in parts]
    for turn, part in enumerate(missing):
        report(f"keeping a tenth of the images for {part}")
        low = turn * _TENTH
        parts[part] = [image for image in parts["train"] if low <= _bucket(image, folder) < low + _TENTH]
    first_train_bucket = len(missing) * _TENTH
    parts["train"] = [image for image in parts["train"] if _bucket(image, folder) >= first_train_bucket]
    return parts


def _bucket(image: _Labelled, folder: Path) -> int:
    return bucket(image.path.relative_to(folder).as_posix())


def _listed(folder: Path) -> list[_Labelled]:
    images: list[_Labelled] = []
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    for path in classes:
        files = sorted(file for file in path.rglob("*") if _is_picture(file.relative_to(folder)))
        if not files:
            raise DataError(f"{path}: a folder of a class without images")
        images += [_Labelled(file, path.name) for file in files]
    return images


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not any(name.startswith(".") for name in path.parts)
