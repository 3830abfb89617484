"""Faces with attributes: CelebA-HQ, one attribute of which is the label.

    FOLDER/CelebAMask-HQ-attribute-anno.txt     or list_attr_celeba.txt
    FOLDER/CelebA-HQ-img/0.jpg                  or data1024x1024/, images/, or in FOLDER itself

Lists are read by `hardpp.data.images.attribute_lists`. Pictures are called by their numbers in CelebA-HQ,
from 0: 0.jpg, 00000.png and imgHQ00000.png are the same.

A whole picture is shown. The first 27,000 pictures are train, the next 500 dev and the last 2,500 test; where
there are not 30,000, in the same proportion.

Sources: Liu, Luo, Wang and Tang (2015), Deep Learning Face Attributes in the Wild; Karras, Aila, Laine and
Lehtinen (2018), Progressive Growing of GANs; parts are those of Harvey, Teng and Wood (2019).
"""

import re
from itertools import pairwise
from pathlib import Path

from hardpp.data.images.attribute_lists import (
    CELEBA_LIST,
    NUMBER,
    OWN_LIST,
    find_attribute_list,
    labelled_numbers,
)
from hardpp.data.images.augmentation import Augmentation, Crop
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LabelledPicture
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.images.resized_pictures import resized_images
from hardpp.data.lines import BadLine, OnBad, Report, report_bad
from hardpp.data.parts import PARTS
from hardpp.errors import DataError

LAYOUT = {
    f"FOLDER/{OWN_LIST}": "CelebA-HQ, with its pictures in CelebA-HQ-img; the label is data.attribute",
    f"FOLDER/{CELEBA_LIST}": "the same by CelebA's own list, with CelebA-HQ-to-CelebA-mapping.txt",
}
DEFAULT = "Male"
PICTURES, DEV, TEST = 30_000, 500, 2_500  # as published

_FOLDERS = re.compile("CelebA-HQ-img|data[0-9]+x[0-9]+|images")
_WHOLE = Crop(0.0, 0.0, 1.0, 1.0)


def read_celeba_hq(
    folder: Path,
    side: int,
    augmentation: Augmentation | None = None,
    attribute: str = DEFAULT,
    *,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> LabelledImages:
    """Show the faces of a folder at one side, with one attribute as classes `not NAME` and `NAME`.

    Args:
        folder: Laid out as above.
        side, augmentation, report: See `resized_images`.
        attribute: Its name, as in the list.
        on_bad: "stop" at a picture that is broken or not there, or "skip" it.

    Raises:
        UsageError: there is no such attribute.
        DataError: a list is missing or has a wrong line, there is no picture for a line, or all pictures to
            train on are alike.
    """
    path = find_attribute_list(folder)
    if path is None:
        raise DataError(f"{folder}: there is neither {OWN_LIST} nor {CELEBA_LIST}")
    listed = labelled_numbers(path, attribute, report)
    place, files = _pictures(folder, report)
    classes = f"not {attribute}", attribute
    pictures: list[LabelledPicture | None] = []
    bad: list[BadLine] = []
    for number, said in sorted(listed.items()):
        file = files.pop(number, None)
        if file is None:
            bad.append(BadLine(path, said.number, f"there is no picture {number} in {place} ({said.name})"))
            pictures.append(None)
        else:
            pictures.append(LabelledPicture(file, classes[said.present]))
    report_bad(bad, on_bad, report, "each line needs a picture, called by its number in CelebA-HQ")
    if files:
        report(f"{len(files)} pictures passed over that {path.name} has not, such as {min(files.values())}")
    total = len(pictures)
    dev, test = DEV, TEST
    if total != PICTURES:
        dev, test = (max(1, round(total * count / PICTURES)) for count in (DEV, TEST))
        report(f"{total} pictures and not {PICTURES}: the last {test} are test, {dev} before them dev")
    bounds = (0, max(0, total - dev - test), max(0, total - test), total)
    parts = {
        part: [picture for picture in pictures[first:end] if picture]
        for part, (first, end) in zip(PARTS, pairwise(bounds), strict=True)
    }
    if len({picture.label for picture in parts["train"]}) == 1:
        raise DataError(f"{path}: all pictures to train on are {parts['train'][0].label!r}")
    return resized_images(
        folder.resolve().name,
        parts,
        folder,
        side,
        augmentation,
        order=classes,
        region_of=lambda picture: _WHOLE,
        on_bad=on_bad,
        report=report,
    )


# The folder of the pictures, and they by number.
def _pictures(folder: Path, report: Report) -> tuple[Path, dict[int, Path]]:
    inside = [
        entry for entry in sorted(folder.iterdir()) if entry.is_dir() and _FOLDERS.fullmatch(entry.name)
    ]
    if len(inside) > 1:
        raise DataError(f"{folder}: both {inside[0].name} and {inside[1].name} are there, and one is read")
    place = inside[0] if inside else folder
    files: dict[int, Path] = {}
    others: list[Path] = []
    for path in sorted(place.iterdir()):
        if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
            continue
        if not (match := NUMBER.fullmatch(path.stem)):
            others.append(path)
            continue
        number = int(match[1])
        if number in files:
            raise DataError(f"{path}: {files[number].name} is picture {number} already")
        files[number] = path
    if others:
        report(f"pictures passed over that have no number: {len(others)}, such as {others[0]}")
    return place, files
