"""IDX files, in which MNIST and its kin are published, and a folder of them as labelled images.

    train-images-idx3-ubyte  train-labels-idx1-ubyte    (N, H, W) and (N,)
    t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte     the test part, which may be called test as well

with or without .gz, and with a dot instead of the hyphen before "idx". The last twelfth of train is kept for
dev (5,000 of 60,000); where that lacks a class which has a dozen images, or leaves train without one, it is
the last twelfth of every class. A file is an array of bytes behind a short header:

    byte 0, 1    0
    byte 2       kind of number; 8 is uint8, the only one read here
    byte 3       how many dimensions
    4 bytes each their sizes, the most significant byte first
    the rest     the numbers, the last dimension first

A file may be compressed with gzip, whatever its name says. The header is not trusted: the file has to hold as
many bytes as it promises, no fewer and no more.
"""

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hardpp.data.images.labelled import InMemoryImages, LabelledImages, report_missing
from hardpp.data.lines import Report
from hardpp.data.packed import unpacked
from hardpp.data.parts import PARTS
from hardpp.errors import DataError

DIGITS = tuple("0123456789")
_CLOTHES = "T-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
CLOTHES = tuple(_CLOTHES.split(","))

_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx([13])-ubyte(\.gz)?")
_DEV = 12  # one image in so many is kept for dev
_UINT8 = 8
_KINDS = {9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds IDX files."""
    return folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def labelled_images(
    folder: Path,
    name: str,
    classes: Sequence[str] | None = None,
    report: Report = lambda text: None,
) -> LabelledImages:
    """Read all images into memory.

    Args:
        folder: Laid out as above.
        name: Of the data.
        classes: Their names; numbers as far as train has them when left out.
        report: Told what is odd about dev, and of which classes a part has no image.
    """
    paths = {part: [_file(folder, part, kind) for kind in ("images", "labels")] for part in ("train", "t10k")}
    arrays = {part: (read(images, 3), read(labels, 1)) for part, (images, labels) in paths.items()}
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
    kept, dev = _with_dev(train, start, paths["train"][1], report)
    for part, of_part in zip(PARTS, (kept, dev, test), strict=True):
        present = (classes[number] for number in of_part.labels.unique().tolist())
        report_missing(part, present, classes, report)
    return LabelledImages(name, kept, dev, test, tuple(classes))


# Train without dev, and dev: its last images, or, where the images are sorted by class, the last of each.
def _with_dev(
    train: InMemoryImages, start: int, path: Path, report: Report
) -> tuple[InMemoryImages, InMemoryImages]:
    labels = train.labels
    common = [int(label) for label in labels.unique() if int((labels == label).sum()) >= _DEV]
    lost = set(labels.tolist()) - set(labels[:start].tolist())
    if not lost and set(common) <= set(labels[start:].tolist()):
        return train.part(None, start), train.part(start, None)
    places = [(labels == label).nonzero()[:, 0] for label in common]
    if not places:
        raise DataError(f"{path}: no class has {_DEV} images, of which one is for dev")
    dev = torch.cat([of_class[-(len(of_class) // _DEV) :] for of_class in places]).sort().values
    report(f"{path}: the last twelfth lacks classes, so the last twelfth of every class is kept for dev")
    kept = torch.ones(len(train), dtype=torch.bool)
    kept[dev] = False
    return train.at(kept.nonzero()[:, 0]), train.at(dev)


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read the array in a file, which has to have so many dimensions."""
    try:
        content = unpacked(path.read_bytes(), path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in (_UINT8, *_KINDS):
        raise DataError(f"{path}: not an IDX file")
    if content[2] != _UINT8:
        raise DataError(f"{path}: holds numbers of kind {_KINDS[content[2]]}, and uint8 are wanted")
    if content[3] != dimensions:
        raise DataError(f"{path}: an array of {dimensions} dimensions is wanted, and it has {content[3]}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path}: truncated in the header, after {len(content)} bytes")
    sizes = struct.unpack(f">{dimensions}I", content[4:start])
    promised, actual = math.prod(sizes), len(content) - start
    if actual != promised:
        fault = "truncated" if actual < promised else "too long"
        shape = " x ".join(str(size) for size in sizes)
        raise DataError(f"{path}: {fault}, {shape} bytes are promised and {actual} are there")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def _file(folder: Path, part: str, kind: str) -> Path:
    names = {"train": ("train",), "t10k": ("t10k", "test")}[part]
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    for path in files:
        match = _NAME.fullmatch(path.name)
        if match and match[1] in names and match[2] == kind:
            return path  # the plain one, if it is there compressed as well
    dimensions = {"images": 3, "labels": 1}[kind]
    raise DataError(f"{folder}: there is no {part}-{kind}-idx{dimensions}-ubyte", "nor one with .gz")
