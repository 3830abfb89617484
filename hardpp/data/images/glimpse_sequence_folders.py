"""Glimpse sequences as their inventors publish them: a folder with a small text file for each image.

    FOLDER/17.txt       row, col        of the top left pixel of a patch, a line a glimpse
                        PATH            of the image, in a last line that birds have and faces have not

The number in the name of a file, such as 17.txt or img_17.txt, is the image's place among the images of its
part, from 0. What a path says beyond that is only checked: it may not be the path of another image. Files
with other endings and hidden ones are passed over.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, and their public data: faces of
CelebA-HQ (224 pixels, patches of 16, 50 cells up to 207, of train) and birds of CUB (128 pixels, patches of
32, 13 cells up to 96, of what is dev here).
Shapes: G glimpses.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hardpp.data.atomic_files import replacing_folder, write_errors
from hardpp.data.images.glimpse_sequence_header import Corner, SequenceHeader
from hardpp.data.images.glimpse_sequences import GlimpseSequences
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.lines import Place, decode_line, read_lines
from hardpp.errors import DataError, UsageError

_FILE = re.compile(r"(?:.*[^0-9])?([0-9]{1,9})\.txt")
_PLACE = re.compile(r"\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*")


def import_folder(path: Path, header: SequenceHeader, names: Sequence[str]) -> GlimpseSequences:
    """Read a folder of the inventors' files.

    Args:
        path: The folder.
        header: What they were made for.
        names: Of all images of the part, in order (`hardpp.data.images.glimpse_sequences.image_names`).

    Raises:
        DataError: there are no such files; or one has another number of lines, a place that is not within the
            image or not on the grid, or the number or path of no image, or of one that another file has.
    """
    try:
        files = sorted(entry for entry in path.iterdir() if entry.suffix == ".txt")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    by_index: dict[int, Path] = {}
    for file in files:
        if file.name.startswith("."):
            continue
        if not (found := _FILE.fullmatch(file.name)):
            raise DataError(f"{file}: the name has no number of an image at its end")
        index = int(found[1])
        if index in by_index:
            raise DataError(f"{file}: image {index} has a sequence in {by_index[index].name} already")
        if index >= len(names):
            raise DataError(f"{file}: there is no image {index}, and {header.part} has 0 to {len(names) - 1}")
        by_index[index] = file
    if not by_index:
        raise DataError(f"{path}: there are no files NUMBER.txt", "they have a line ROW, COLUMN a glimpse")
    by_file: dict[str, set[str]] = {}  # names by their last parts
    for name in names:
        by_file.setdefault(_last(name), set()).add(name)
    places: dict[str, list[Corner]] = {}
    where: dict[str, Place] = {}
    for index, file in sorted(by_index.items()):
        name = names[index]
        places[name], where[name] = _sequence(file, header, name, by_file), Place(file, 1)
    return GlimpseSequences(path, header, places, where)


def glimpses_in(path: Path) -> int:
    """How many places the first of the inventors' files in a folder has; 1 at least."""
    for file in sorted(path.glob("*.txt")):
        if not file.name.startswith("."):
            lines = [decode_line(line) for line in read_lines(file, "lines ROW, COLUMN")]
            return max(1, sum(_PLACE.fullmatch(line) is not None for line in lines))
    return 1


def export_folder(sequences: GlimpseSequences, path: Path, names: Sequence[str]) -> None:
    """Write sequences as a new folder of the inventors' files, all or none of them.

    Args:
        sequences: Those of any images of the part.
        path: The folder, which must not be there yet.
        names: Of all images of the part, in order.

    Raises:
        UsageError: something of that name is there.
        DataError: a sequence is of an image that is not among the names.
        ResourceError: the folder cannot be written.
    """

    def refuse() -> bool:
        raise UsageError(f"{path} exists already", "give another name")

    if os.path.lexists(path):
        refuse()
    index_of = {name: index for index, name in enumerate(names)}
    for name in sequences.places:
        if name not in index_of:
            raise DataError(f"{sequences.path}: there is no image {name!r} in {sequences.header.part}")
    with write_errors(path), replacing_folder(path, unless=refuse) as folder:
        for name, places in sequences.places.items():
            lines = [f"{row}, {column}\n" for row, column in places]
            (folder / f"{index_of[name]}.txt").write_text("".join(lines), encoding="utf-8")


def _sequence(file: Path, header: SequenceHeader, name: str, by_file: Mapping[str, set[str]]) -> list[Corner]:
    lines = read_lines(file, f"{header.glimpses} lines ROW, COLUMN")
    corners: list[Corner] = []
    for number, line in enumerate(lines, start=1):
        try:
            text = decode_line(line)
            found = _PLACE.fullmatch(text)
            if not found and number > 1 and number == len(lines):
                _check_path(text, name, by_file)
                continue
            if not found:
                raise ValueError(f"{text!r} is no place: ROW, COLUMN in whole pixels is wanted")
            corner = int(found[1]), int(found[2])
            header.check_corner(corner)
            corners.append(corner)
        except ValueError as reason:
            raise DataError(f"{file}:{number}: {reason}") from reason
    try:
        header.check_count(len(corners))
    except ValueError as reason:
        raise DataError(f"{file}:{len(lines)}: {reason}") from reason
    return corners


# Paths are of files as the inventors had made them, which users need not have.
def _check_path(text: str, name: str, by_file: Mapping[str, set[str]]) -> None:
    if not text.strip().lower().endswith(ENDINGS):
        raise ValueError(f"{text!r} is neither a place ROW, COLUMN nor the path of a picture")
    others = by_file.get(_last(text.strip()))
    if others and name not in others:
        raise ValueError(f"{text!r} is the path of {min(others)}, and by its name the file is of {name}")


def _last(path: str) -> str:
    return path.rpartition("/")[2]
