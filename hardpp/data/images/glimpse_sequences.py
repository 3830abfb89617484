"""Near-optimal glimpse sequences in a text file: for each image, which patches to look at, in order.

    # hardpp glimpse sequences: 1           the version of this format
    # size: 60                              pixels a side of the images
    # patch: 12                             pixels a side of a patch
    # cells: 13                             places of a patch along a side
    # last: 48                              the first pixel of the last patch along a side
    # glimpses: 5                           G, the most of an image
    # fewest: 5                             of an image; less than G where sequences may end earlier
    # data: translated-mnist                where the images are from
    # part: train                           train, dev or test
    # fingerprint: 5f0c...                  of the images of that part
    # configuration: 91ab...                a hash of the settings that made the sequences
    train/17<TAB>24,24 0,48 4,8 24,36 48,0

A line an image: its name (`image_names`), a tab, and row and column of the top left pixels of its patches.
A name holds neither tabs nor line breaks. Patches lie on a square grid: their first pixels along a side are
the whole parts of C numbers at equal distances, from 0 to `last`. The text is UTF-8, and every line ends with
a line break, so that one without was not written to its end (`hardpp.data.images.glimpse_sequence_files`).

Source: the sequences are those of Harvey, Teng and Wood (2019), Near-optimal glimpse sequences; the format is
ours.
Shapes: G glimpses, C cells a side.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.images.glimpse_sequence_header import (
    FIRST,
    KEYS,
    NUMBERS,
    VERSION,
    Corner,
    SequenceHeader,
    check_name,
)
from hardpp.data.images.labelled import ImagePart
from hardpp.data.lines import Place, decode_line, read_content, split_lines
from hardpp.errors import DataError

_EXPECTED = f'"# {FIRST}: {VERSION}" in its first line, and more header lines'
_NAMED = f"# {FIRST}: ".encode()
_DIGITS = re.compile("[0-9]{1,5}")


class GlimpseSequences(NamedTuple):
    """Glimpse sequences of images of one part."""

    path: Path  # the file or folder that they are from
    header: SequenceHeader
    places: dict[str, list[Corner]]  # by the name of the image, in the order of the file
    where: dict[str, Place]  # the line of each image


def read(path: Path) -> GlimpseSequences:
    """Read a file of glimpse sequences; a DataError names the line that is wrong."""
    content = read_content(path, _EXPECTED)
    if not content.endswith(b"\n") and (_NAMED in content or _NAMED.startswith(content)):
        number = content.count(b"\n") + 1
        raise DataError(
            f"{path}:{number}: the last line has no line break, so it was not written to its end",
            "what writes the sequences drops it when it goes on; or end it by hand, if it is whole",
        )
    return parse(path, content)


def parse(path: Path, content: bytes) -> GlimpseSequences:
    """Read the content of a file of glimpse sequences, whose path is for messages."""
    numbered = list(enumerate(split_lines(content), start=1))
    values: dict[str, tuple[int, str]] = {}  # line and value by key
    places: dict[str, list[Corner]] = {}
    where: dict[str, Place] = {}
    header: SequenceHeader | None = None
    for number, line in numbered:
        try:
            text = decode_line(line)
            if header is None and text.startswith("# ") and "\t" not in text:
                _add_key(values, number, text)
                continue
            header = header or _header(path, values)
            name, corners = _sequence(header, text)
            if name in places:
                raise ValueError(f"{name} has a sequence in line {where[name].number} already")
            places[name], where[name] = corners, Place(path, number)
        except ValueError as reason:
            raise DataError(f"{path}:{number}: {reason}") from reason
    return GlimpseSequences(path, header or _header(path, values), places, where)


def image_names(part: ImagePart, part_name: str) -> Sequence[str]:
    """The names by which sequences are kept: those of the images, or train/0, train/1, ... without any."""
    return part.names or [f"{part_name}/{index}" for index in range(len(part))]


def check_fits(sequences: GlimpseSequences, part: ImagePart, part_name: str, size: int) -> None:
    """Refuse sequences that were made for other images.

    Args:
        sequences: All of a file.
        part: All images of a part, as they were when the sequences were made: without augmentation.
        part_name: Which, one of train, dev and test.
        size: Pixels a side.

    Raises:
        DataError: it says in what they differ, or which image the part has not.
    """
    header = sequences.header
    wanted = {"size": size, "part": part_name, "fingerprint": part.fingerprint()}
    for key, value in wanted.items():
        if (got := getattr(header, key)) != value:
            raise DataError(
                f"{sequences.path}: was made for images of {key} {got}, and these have {value}",
                "sequences hold for the pixels that they were made for: read pictures as they were read then "
                "(their side, and which model reads them), or make sequences anew",
            )
    names = set(image_names(part, part_name))
    for name, place in sequences.where.items():
        if name not in names:
            raise DataError(f"{place.path}:{place.number}: there is no image {name!r} in {part_name}")


def _add_key(values: dict[str, tuple[int, str]], number: int, text: str) -> None:
    key, colon, value = text.removeprefix("# ").partition(": ")
    if not colon or key not in (FIRST, *KEYS):
        raise ValueError(f'"{text}" is no header line: "# KEY: VALUE" is wanted, of {", ".join(KEYS)}')
    if key in values:
        raise ValueError(f"{key} is given in line {values[key][0]} already")
    if key == FIRST and value != VERSION:
        raise ValueError(f"version {value} of the format, and {VERSION} is read here")
    if key in NUMBERS and not _DIGITS.fullmatch(value):
        raise ValueError(f"{key} is {value!r}, and a number of at most 5 digits is wanted")
    values[key] = number, value


def _header(path: Path, values: Mapping[str, tuple[int, str]]) -> SequenceHeader:
    if FIRST not in values:
        raise DataError(f"{path}:1: not a file of glimpse sequences", f"it has {_EXPECTED}")
    if missing := [key for key in KEYS if key not in values]:
        after = max(number for number, _ in values.values())
        raise DataError(f"{path}:{after}: the header ends here, and has no {' and no '.join(missing)}")
    given = {key: int(values[key][1]) if key in NUMBERS else values[key][1] for key in KEYS}
    try:
        return SequenceHeader(**given)  # type: ignore[arg-type]
    except ValueError as reason:
        number, _ = values[str(reason).split()[0]]
        raise DataError(f"{path}:{number}: {reason}") from reason


def _sequence(header: SequenceHeader, text: str) -> tuple[str, list[Corner]]:
    name, tab, rest = text.partition("\t")
    if not tab:
        raise ValueError("a name, a tab and places ROW,COLUMN are wanted")
    check_name(name)
    corners = [_corner(place) for place in rest.split(" ")] if rest else []
    header.check_count(len(corners))
    for corner in corners:
        header.check_corner(corner)
    return name, corners


def _corner(text: str) -> Corner:
    row, _, column = text.partition(",")
    if not (_DIGITS.fullmatch(row) and _DIGITS.fullmatch(column)):
        raise ValueError(f"{text!r} is no place: ROW,COLUMN in whole pixels is wanted")
    return int(row), int(column)
