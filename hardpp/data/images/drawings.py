"""Drawings of Debian's packages as pictures of classes: clip art and stamps of a painting program.

openclipart    clip art of nine subjects, of Debian's openclipart-png
stamps         photographs and drawings of eight subjects, of Debian's tuxpaint-stamps-default

A class is a folder of the package. Left out are the folders that swamp the others (computer icons, shapes) or
have fewer than 30 pictures, and pictures of less than 16 pixels a side or of more than 4 million in all. Of
pictures that are the same to the byte one is kept, and none where they lie in folders of two classes.

A tenth of the drawings is for dev and a tenth for test. Which part a picture falls into is decided by its
class and its name without numbers and without words such as "mirror" (of copies under other names, by the
first of these), so that versions of one drawing do not lie in two parts.
"""

import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hardpp.data.digests import sha256_of_file
from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LabelledPicture
from hardpp.data.images.resized_pictures import resized_images
from hardpp.data.lines import Report
from hardpp.data.parts import bucket, split


class Drawings(NamedTuple):
    """Where the pictures of a package lie."""

    folder: str  # in the fetched folder
    classes: tuple[str, ...]  # folders in it


DRAWINGS = {
    "openclipart": Drawings(
        "usr/share/openclipart/png",
        (
            *("animals", "buildings", "food", "people", "plants"),
            *("recreation", "signs_and_symbols", "tools", "transportation"),
        ),
    ),
    "stamps": Drawings(
        "usr/share/tuxpaint/stamps",
        ("animals", "food", "household", "plants", "seasonal", "symbols", "town", "vehicles"),
    ),
}

_VERSIONS = {"bn", "bw", "big", "filled", "large", "md", "mirror", "outline", "outlined", "small"}
_TENTH = 2  # of the 20 buckets
_LEAST_SIDE = 16
_MOST_PIXELS = 4_000_000


def read_drawings(
    name: str,
    fetched: Path,
    side: int,
    augmentation: Augmentation | None = None,
    report: Report = lambda text: None,
) -> LabelledImages:
    """Show the drawings of a name (of `DRAWINGS`), which lie in a fetched folder, at a side in pixels."""
    folder = fetched / DRAWINGS[name].folder
    pictures = [
        LabelledPicture(path, label)
        for label in DRAWINGS[name].classes
        for path in sorted((folder / label).rglob("*.png"))
    ]
    fitting = [picture for picture in pictures if _fits(picture.path)]
    report(f"left out {len(pictures) - len(fitting)} pictures of {name} that are too small or too large")
    parts = split_drawings(fitting, report)
    return resized_images(name, parts, folder, side, augmentation, report=report)


def split_drawings(
    pictures: Iterable[LabelledPicture], report: Report = lambda text: None
) -> dict[str, list[LabelledPicture]]:
    """Split pictures into parts without copies, with all versions of a drawing in one part."""
    groups: dict[str, list[LabelledPicture]] = {}  # of the same content
    for picture in pictures:
        groups.setdefault(sha256_of_file(picture.path), []).append(picture)
    of_one_class = [group for group in groups.values() if len({picture.label for picture in group}) == 1]
    copies = sum(map(len, groups.values())) - len(groups)
    report(
        f"left out {copies} copies, and {len(groups) - len(of_one_class)} pictures that are in two classes"
    )
    first: dict[str, str] = {}  # a drawing -> another one that comes before it and is the same

    def same(name: str) -> str:
        while name in first:
            name = first[name]
        return name

    for group in of_one_class:
        for picture in group[1:]:
            one, other = sorted([same(drawing(group[0])), same(drawing(picture))])
            if one != other:
                first[other] = one
    return split([group[0] for group in of_one_class], lambda picture: _part_of(same(drawing(picture))))


def drawing(picture: LabelledPicture) -> str:
    """What all versions of a drawing have in common: its class, and its name without numbers."""
    words = re.split("[^a-z]+", picture.path.stem.lower())
    return " ".join([picture.label, *(word for word in words if word and word not in _VERSIONS)])


def _fits(path: Path) -> bool:
    with path.open("rb") as file:
        width, height = struct.unpack(">8x8x2I", file.read(24))  # the beginning of every PNG file
    return bool(min(width, height) >= _LEAST_SIDE and width * height <= _MOST_PIXELS)


def _part_of(text: str) -> str:
    return ("test", "dev")[bucket(text) // _TENTH] if bucket(text) < 2 * _TENTH else "train"
