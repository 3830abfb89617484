"""Pictures of any size shown at one: a random crop of each in every epoch to train on, else the middle.

Data may say which region of a picture is meant. Then crops are drawn within it, and else all of it is shown.

The crop (`hardpp.data.images.augmentation`) is resized to side x side pixels by pillow's bicubic filter,
which averages where it shrinks. A part can be had without augmentation, and at another side: the same
pictures, and the same crops of them.

Shapes: N pictures of a part, B of them asked for.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.augmentation import Augmentation, Crop, middle
from hardpp.data.images.labelled import (
    FirstImages,
    ImagePart,
    ImagesWithBoxes,
    LabelledImages,
    as_indices,
)
from hardpp.data.images.layouts import Parts, classes_of, find_pictures, without
from hardpp.data.images.rgb_files import KEPT, RGBFiles, known_pictures
from hardpp.data.images.rgb_pictures import KnownPicture, Shape
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import PARTS
from hardpp.errors import UsageError

_VERSION = 1  # of how pictures are resized; other pixels have another
_FINER = 2  # pictures are kept at a shorter side of at most so many times the side they are shown at

RegionOf = Callable[[KnownPicture], Crop]


class ResizedPictures:
    """Pictures of one part, as `hardpp.data.images.labelled.ImagePart`.

    Args:
        files: Those of all parts.
        places: (N,) int64, which of them are this part's.
        labels: (N,) int64.
        side: Pixels a side, as they are shown.
        augmentation: How crops are drawn; None to show the middle in every epoch.
        regions: What of each file is meant, with an area; None for all of it, and then the middle is shown.
    """

    def __init__(
        self,
        files: RGBFiles,
        places: Tensor,
        labels: Tensor,
        side: int,
        augmentation: Augmentation | None = None,
        regions: Sequence[Crop] | None = None,
    ):
        self.files, self.places, self.labels = files, places, labels
        self.side, self.augmentation, self.regions = side, augmentation, regions

    @property
    def size(self) -> tuple[int, int, int]:
        return 3, self.side, self.side

    @property
    def names(self) -> list[str]:
        """Paths below the folder, such as train/cat/007.png."""
        names = self.files.names
        return [names[place] for place in self.places.tolist()]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        indices = as_indices(places, len(self))
        pixels = np.empty((len(indices), *self.size), np.uint8)
        for row, index in enumerate(indices.tolist()):
            pixels[row] = np.moveaxis(self._shown(range(len(self))[index], epoch), -1, 0)
        return ImagesWithBoxes(torch.from_numpy(pixels), None)

    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all files, of places and labels, and of how they are shown."""
        which = [self.files.fingerprint, self.places.tolist(), self.labels.tolist()]
        regions = [] if self.regions is None else [self.regions]
        return sha256_of_json([_VERSION, *which, self.side, self.augmentation, *regions])

    def plain(self) -> "ResizedPictures":
        """The same pictures without augmentation."""
        return ResizedPictures(self.files, self.places, self.labels, self.side, None, self.regions)

    def at_side(self, side: int) -> "ResizedPictures":
        """The same pictures, and the same crops, at another side in pixels."""
        files = self.files.at(_shorter(side, self.files.pictures, self.regions))
        return ResizedPictures(files, self.places, self.labels, side, self.augmentation, self.regions)

    def _shown(self, index: int, epoch: int) -> NDArray[np.uint8]:
        # The pixels (side, side, 3) of a picture.
        from PIL import Image  # slow to import, and `hardpp --help` never needs it

        place = int(self.places[index])
        shape = self.files.pictures[place].shape
        region = None if self.regions is None else self.regions[place]
        if self.augmentation is None:
            crop = region or middle(shape, self.side)
        elif region is None:
            crop = self.augmentation.crop(shape, epoch, index)
        else:
            left, top, right, bottom = region.pixels(shape)
            crop = self.augmentation.crop(Shape(right - left, bottom - top), epoch, index).within(region)
        left, top, right, bottom = crop.pixels(shape.reduced(self.files.shorter))
        picture = Image.fromarray(self.files.read(place)[top:bottom, left:right])
        resized = np.asarray(picture.resize((self.side, self.side), Image.Resampling.BICUBIC))
        return resized[:, ::-1] if crop.mirrored else resized


def plain(part: ImagePart) -> ImagePart:
    """The images of a part without augmentation; scenes that are made anew in every epoch still are."""
    if isinstance(part, FirstImages):
        return FirstImages(plain(part.part), part.count)
    unaugmented: ImagePart = part.plain() if hasattr(part, "plain") else part
    return unaugmented


def at_side(part: ImagePart, side: int) -> ImagePart:
    """The images of a part at another side, in pixels; a UsageError if they are no pictures of files."""
    if isinstance(part, FirstImages):
        return FirstImages(at_side(part.part, side), part.count)
    if hasattr(part, "at_side"):
        larger: ImagePart = part.at_side(side)
        return larger
    if part.size[1:] == (side, side):
        return part
    raise UsageError(
        f"these images have {part.size[1]} x {part.size[2]} pixels and cannot be read at {side} x {side}",
        "pictures in folders of classes can",
    )


def resized_images(
    name: str,
    parts: Parts,
    folder: Path,
    side: int,
    augmentation: Augmentation | None = None,
    *,
    order: Sequence[str] | None = None,
    region_of: RegionOf | None = None,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
    kept_bytes: int = KEPT,
) -> LabelledImages:
    """Show the pictures of the parts train, dev and test at one side.

    Args:
        name: Of the data.
        parts: The pictures, at least one a part.
        folder: That names of pictures are relative to.
        side: Pixels a side, as they are shown.
        augmentation: Of train; None to show the middle there too.
        order: Of the names of the classes; None to sort them.
        region_of: Says which region of a picture is meant; see `ResizedPictures`.
        on_bad: What is done about broken pictures, see `known_pictures`.
        report: Told what is going on, what is left out, and how many pictures there are.
        kept_bytes: See `RGBFiles`.
    """
    if side < 1:
        raise UsageError(f"a side of at least 1 pixel is wanted, not {side}")
    listed = [picture for part in PARTS for picture in parts[part]]
    known = known_pictures([picture.path for picture in listed], _FINER * side, on_bad, report)
    left = {picture.path: found for picture, found in zip(listed, known, strict=True) if found}
    whole = without(parts, {picture.path for picture in listed} - left.keys(), folder)
    found = classes_of(whole, folder, report)
    classes = tuple(name for name in order or found if name in found)
    pictures = [left[picture.path] for part in PARTS for picture in whole[part]]
    regions = None if region_of is None else [region_of(picture) for picture in pictures]
    files = RGBFiles(pictures, folder, _shorter(side, pictures, regions), kept_bytes)
    numbers = {label: number for number, label in enumerate(classes)}
    labels = torch.tensor([numbers[picture.label] for part in PARTS for picture in whole[part]])
    places = torch.arange(len(labels)).split([len(whole[part]) for part in PARTS])
    train, dev, test = (
        ResizedPictures(files, of_part, labels[of_part], side, None, regions) for of_part in places
    )
    counts = ", ".join(f"{len(whole[part])} {part}" for part in PARTS)
    report(f"{name}: {len(classes)} classes, {counts} images")
    train.augmentation = augmentation
    return LabelledImages(name, train, dev, test, classes)


def read_folder(
    folder: Path | str,
    side: int,
    augmentation: Augmentation | None = None,
    *,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> LabelledImages:
    """Find the pictures of a user's folder (`hardpp.data.images.layouts`) and show them at one side."""
    folder = Path(folder)
    parts = find_pictures(folder, report, on_bad)
    classes_of(parts, folder)  # before all headers are read
    name = folder.resolve().name
    return resized_images(name, parts, folder, side, augmentation, on_bad=on_bad, report=report)


def files_at(pictures: Sequence[KnownPicture], folder: Path | None, side: int) -> RGBFiles:
    """Pictures to be shown at a side, kept no finer than that takes; `folder` is left out of their names."""
    return RGBFiles(pictures, folder, _shorter(side, pictures, None))


# The shorter side that pictures are kept at: no region then has fewer pixels than `_FINER` asks for, unless
# the file has fewer.
def _shorter(side: int, pictures: Sequence[KnownPicture], regions: Sequence[Crop] | None) -> int:
    largest = 1.0
    for picture, region in zip(pictures, regions or [], strict=False):
        width, height = picture.shape
        largest = max(largest, min(picture.shape) / min(region.width * width, region.height * height))
    return ceil(_FINER * side * largest)
