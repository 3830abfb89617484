"""Birds of 200 species: CUB-200-2011, as it is published.

    FOLDER/images.txt               NUMBER PATH, a line a picture, and so on in all lists
    FOLDER/image_class_labels.txt   NUMBER CLASS
    FOLDER/classes.txt              CLASS NAME
    FOLDER/train_test_split.txt     NUMBER 1, or 0 for a picture to test on
    FOLDER/bounding_boxes.txt       NUMBER LEFT TOP WIDTH HEIGHT, in pixels
    FOLDER/images/PATH

Shown is the square around the middle of a bird's box, of 1.5 times its longer side. Where it leaves the
picture it is cut at the border, and what is left is stretched to a square again: nothing is padded, and a
bird near the border comes out wider or higher than it is. That is as published with glimpse sequences for
these pictures (`hardpp.data.images.glimpse_sequence_folders`), whose places therefore hold, at 128 pixels;
only the filter that resizes is another.

The test part is the published one. Of the others, in the order of their numbers, 1,000 at equal distances are
dev and the rest train; where there are not 5,994 of them, as large a share.

Sources: Wah, Branson, Welinder, Perona and Belongie (2011), The Caltech-UCSD Birds-200-2011 Dataset; squares
and parts are those of Harvey, Teng and Wood (2019), Near-optimal glimpse sequences.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hardpp.data.images.augmentation import Augmentation, Crop
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LabelledPicture
from hardpp.data.images.resized_pictures import resized_images
from hardpp.data.images.rgb_pictures import KnownPicture
from hardpp.data.lines import OnBad, Report, decode_line, parse_lines
from hardpp.errors import DataError

LAYOUT = {"FOLDER/images.txt, ...": "CUB-200-2011 as it is published, cut to squares around the birds"}
TRAIN, DEV = 5994, 1000  # pictures that are not for testing, and of them for dev, as published
HALF_SIDE = 0.75  # of a square, in longer sides of the box

_IMAGES, _LABELS, _CLASSES = "images.txt", "image_class_labels.txt", "classes.txt"
_SPLIT, _BOXES = "train_test_split.txt", "bounding_boxes.txt"
_LISTS = (_IMAGES, _LABELS, _CLASSES, _SPLIT, _BOXES)
_FARTHEST = 1e6  # pixels


class Line(NamedTuple):
    """A line of a list, after its number."""

    place: str  # file and line, for messages
    fields: list[str]


def is_cub(folder: Path) -> bool:
    """Has a folder the list of pictures, and one of the others at least?"""
    return len([name for name in _LISTS if (folder / name).is_file()]) > 1 and (folder / _IMAGES).is_file()


def read_cub(
    folder: Path,
    side: int,
    augmentation: Augmentation | None = None,
    *,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> LabelledImages:
    """Show the birds of a folder at one side; the arguments are those of `resized_images`.

    Raises:
        DataError: a list is missing, has a wrong line or none for a picture; or a picture is missing, or its
            box is elsewhere.
    """
    paths = _table(folder / _IMAGES, "PATH")
    class_names = _table(folder / _CLASSES, "NAME")
    numbers = _of_all(paths, folder / _LABELS, "CLASS")
    split = _of_all(paths, folder / _SPLIT, "IS_TRAIN")
    boxes = _of_all(paths, folder / _BOXES, "LEFT TOP WIDTH HEIGHT")
    pictures: dict[int, LabelledPicture] = {}
    squares: dict[Path, tuple[str, tuple[int, int, int, int]]] = {}
    for number in sorted(paths):
        path = _path(folder / "images", paths[number])
        name = class_names.get(_integer(numbers[number]))
        if name is None:
            what = f"there is no class {numbers[number].fields[0]} in {_CLASSES}"
            raise DataError(f"{numbers[number].place}: {what}")
        pictures[number] = LabelledPicture(path, name.fields[0])
        squares[path] = boxes[number].place, _square(boxes[number])
    for line in split.values():
        if line.fields[0] not in ("0", "1"):
            raise DataError(f"{line.place}: 1 or 0 is wanted, not {line.fields[0]!r}")
    learnt = [number for number in pictures if split[number].fields[0] == "1"]
    dev = {learnt[index] for index in _spread(len(learnt))}
    if len(learnt) != TRAIN:
        report(f"{_SPLIT}: {len(learnt)} pictures to train on and not {TRAIN}, {len(dev)} of them for dev")
    parts = {
        "train": [pictures[number] for number in learnt if number not in dev],
        "dev": [pictures[number] for number in learnt if number in dev],
        "test": [picture for number, picture in pictures.items() if split[number].fields[0] == "0"],
    }

    def region(picture: KnownPicture) -> Crop:
        place, (left, top, right, bottom) = squares[picture.path]
        width, height = picture.shape
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        if left >= right or top >= bottom:
            raise DataError(f"{place}: nothing of the box is in a picture of {width} x {height} pixels")
        return Crop(left / width, top / height, (right - left) / width, (bottom - top) / height)

    order = [class_names[number].fields[0] for number in sorted(class_names)]
    name_of_data = folder.resolve().name
    return resized_images(
        name_of_data,
        parts,
        folder,
        side,
        augmentation,
        order=order,
        region_of=region,
        on_bad=on_bad,
        report=report,
    )


# Indices at equal distances, the first and the last among them, as the whole parts of numbers.
def _spread(count: int) -> list[int]:
    wanted = DEV if count == TRAIN else round(count * DEV / TRAIN)
    wanted = min(max(1, wanted), count)
    return [step * (count - 1) // max(1, wanted - 1) for step in range(wanted)]


def _table(path: Path, columns: str) -> dict[int, Line]:
    wanted = len(columns.split())
    lines: dict[int, Line] = {}

    def parse(line: int, text: bytes) -> None:
        fields = decode_line(text).split(maxsplit=wanted)
        if len(fields) != wanted + 1 or not (fields[0].isascii() and fields[0].isdecimal()):
            raise ValueError(f"NUMBER {columns} is wanted, not {text.decode()!r}")
        number = int(fields[0])
        if number in lines:
            raise ValueError(f"{number} has a line already, {lines[number].place}")
        lines[number] = Line(f"{path}:{line}", [field.strip() for field in fields[1:]])

    parse_lines(path, parse, f"lines NUMBER {columns}", f"lines are NUMBER {columns}")
    return lines


# A list that has a line for every picture, and for no other.
def _of_all(pictures: Mapping[int, Line], path: Path, columns: str) -> dict[int, Line]:
    lines = _table(path, columns)
    if missing := sorted(set(pictures) - set(lines)):
        raise DataError(f"{path}: has no line for picture {missing[0]} ({pictures[missing[0]].place})")
    if others := sorted(set(lines) - set(pictures)):
        raise DataError(f"{lines[others[0]].place}: there is no picture {others[0]} in {_IMAGES}")
    return lines


def _path(images: Path, line: Line) -> Path:
    path = PurePosixPath(line.fields[0])
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{line.place}: {str(path)!r} is not a path below {images}")
    return images / path


def _integer(line: Line) -> int:
    try:
        return int(line.fields[0])
    except ValueError as error:
        raise DataError(f"{line.place}: a whole number is wanted, not {line.fields[0]!r}") from error


# Left, top, right and bottom of the square around a box, in whole pixels as in the published code.
def _square(line: Line) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = map(float, line.fields)
    except ValueError as error:
        raise DataError(f"{line.place}: four numbers are wanted, not {' '.join(line.fields)!r}") from error
    if not (max(abs(x), abs(y)) < _FARTHEST and 0 < width < _FARTHEST and 0 < height < _FARTHEST):
        raise DataError(f"{line.place}: a box with an area is wanted, not {' '.join(line.fields)!r}")
    half = int(max(width, height) * HALF_SIDE)
    column, row = int((2 * x + width) / 2), int((2 * y + height) / 2)
    return column - half, row - half, column + half, row + half
