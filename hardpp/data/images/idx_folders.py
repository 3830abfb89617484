"""A folder of IDX files as labelled images: MNIST, Fashion-MNIST, or a user's own in their layout.

    train-images-idx3-ubyte  train-labels-idx1-ubyte    (N, H, W) and (N,)
    t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte     the test part, which may be called test as well

with or without .gz, and with a dot instead of the hyphen before "idx". The last twelfth of train is kept for
dev (5,000 of 60,000).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hardpp.data.images import idx
from hardpp.data.images.labelled import InMemoryImages, LabelledImages
from hardpp.errors import DataError

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx([13])-ubyte(\.gz)?")
_DEV = 12  # one image in so many is kept for dev


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds IDX files."""
    return folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def labelled_images(folder: Path, name: str, classes: Sequence[str] | None = None) -> LabelledImages:
    """Read all images into memory.

    Args:
        folder: Laid out as above.
        name: Of the data.
        classes: Their names; numbers as far as train has them when left out.

    Raises:
        DataError: A file is missing, truncated or not IDX, images and labels differ in number, parts differ
            in size, train has one class only, or a label is outside the classes; the message names the file.
    """
    paths = {part: [_file(folder, part, kind) for kind in ("images", "labels")] for part in ("train", "t10k")}
    arrays = {part: (idx.read(images, 3), idx.read(labels, 1)) for part, (images, labels) in paths.items()}
    train_images, numbers = arrays["train"]
    if classes is None:
        classes = [str(number) for number in range(int(numbers.max(initial=0)) + 1)]
    parts = {}
    for part, (images, labels) in arrays.items():
        files = paths[part]
        if len(images) != len(labels):
            raise DataError(
                f"{files[1]}: {len(labels)} labels for the {len(images)} images in {files[0].name}"
            )
        if images.shape[1:] != train_images.shape[1:]:
            (height, width), (h, w) = images.shape[1:], train_images.shape[1:]
            raise DataError(f"{files[0]}: images of {height} x {width} pixels, and train has {h} x {w}")
        outside = np.flatnonzero(labels >= len(classes))
        if outside.size:
            place = int(outside[0])
            raise DataError(
                f"{files[1]}: label {place} is {labels[place]}, and classes are 0 to {len(classes) - 1}"
            )
        # Copied once, since what was read from a file cannot be written to.
        pixels = torch.from_numpy(images.copy()).unsqueeze(1)
        parts[part] = InMemoryImages(pixels, torch.from_numpy(labels.astype(np.int64)))
    train, test = parts["train"], parts["t10k"]
    start = len(train) - len(train) // _DEV
    if not len(test) or start == len(train) or not all(train.size):
        raise DataError(
            f"{paths['train'][0]}: {_DEV} images at least are needed, of which one is for dev, and one in "
            f"{paths['t10k'][0].name}"
        )
    if len(classes_of_train := train.labels.unique()) < 2:
        raise DataError(
            f"{paths['train'][1]}: labels of two classes at least are wanted, all are {int(classes_of_train)}"
        )
    return LabelledImages(name, train.part(None, start), train.part(start, None), test, tuple(classes))


def _file(folder: Path, part: str, kind: str) -> Path:
    names = {"train": ("train",), "t10k": ("t10k", "test")}[part]
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    matches = []
    for path in files:
        match = _NAME.fullmatch(path.name)
        if match and match[1] in names and match[2] == kind:
            matches.append(path)
    if not matches:
        dimensions = {"images": 3, "labels": 1}[kind]
        raise DataError(f"{folder}: there is no {part}-{kind}-idx{dimensions}-ubyte", "nor one with .gz")
    return matches[0]  # the plain one, if it is there compressed as well
