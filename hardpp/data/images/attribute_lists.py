"""Lists of the attributes of faces, by the numbers of the pictures in CelebA-HQ.

    CelebAMask-HQ-attribute-anno.txt    how many lines follow; the names of the attributes; and NAME 1 -1 ...,
                                        where names are numbers in CelebA-HQ, from 0, such as 17.jpg
    list_attr_celeba.txt                the same of CelebA, whose names are its own numbers, from 1

Which picture of CelebA-HQ is which of CelebA is said beside the second by CelebA-HQ-to-CelebA-mapping.txt or
image_list.txt, which have columns idx and orig_file. Without them its names are taken for numbers in
CelebA-HQ if they go from 0, and it is refused if not.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from hardpp.data.lines import Report, decode_line, parse_lines
from hardpp.errors import DataError, UsageError

OWN_LIST, CELEBA_LIST = "CelebAMask-HQ-attribute-anno.txt", "list_attr_celeba.txt"
NUMBER = re.compile("(?:.*[^0-9])?([0-9]{1,9})")  # at the end of the name of a picture, without its ending

_MAPPINGS = ("CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt")


class Attribute(NamedTuple):
    """Whether a picture has an attribute, and where that is said."""

    name: str  # of the picture, as the list has it
    number: int  # of the line
    present: bool


def find_attribute_list(folder: Path) -> Path | None:
    """The list of attributes in a folder; None if there is none."""
    return next((folder / name for name in (OWN_LIST, CELEBA_LIST) if (folder / name).is_file()), None)


def labelled_numbers(path: Path, attribute: str, report: Report = lambda text: None) -> dict[int, Attribute]:
    """Which pictures, by their numbers in CelebA-HQ, have an attribute.

    Args:
        path: The list.
        attribute: Its name.
        report: Told where numbers are from.

    Raises:
        UsageError: there is no such attribute.
        DataError: a line is wrong, or nothing says which pictures the names are.
    """
    found = _attributes(path, attribute)
    mapping = next((file for name in _MAPPINGS if (file := path.parent / name).is_file()), None)
    if path.name == CELEBA_LIST and mapping is not None:
        report(f"pictures are matched to {path.name} by {mapping.name}")
        return _mapped(mapping, path, found)
    numbered = _numbered(path, found)
    if path.name == CELEBA_LIST and 0 not in numbered:
        raise DataError(
            f"{path}: has CelebA's own numbers, and nothing says which picture of CelebA-HQ has which",
            f"put {_MAPPINGS[0]} or {_MAPPINGS[1]} beside it",
        )
    return numbered


# Whether each picture of a list has an attribute, by the names of the pictures without endings.
def _attributes(path: Path, attribute: str) -> dict[str, Attribute]:
    names: list[str] = []
    counts: list[int] = []
    found: dict[str, Attribute] = {}

    def parse(number: int, line: bytes) -> None:
        fields = decode_line(line).split()
        if number == 1:
            if len(fields) != 1 or not (fields[0].isascii() and fields[0].isdecimal()):
                raise ValueError("the number of pictures is wanted")
            counts.append(int(fields[0]))
        elif number == 2:
            names.extend(fields)
        elif len(fields) != len(names) + 1:
            raise ValueError(f"has {len(fields) - 1} values, and there are {len(names)} attributes")
        elif attribute in names:
            name, value = fields[0], fields[1 + names.index(attribute)]
            if value not in ("1", "-1"):
                raise ValueError(f"{attribute} is {value!r}, and 1 or -1 is wanted")
            if (stem := Path(name).stem) in found:
                raise ValueError(f"{name} has a line already, {found[stem].number}")
            found[stem] = Attribute(name, number, value == "1")

    parse_lines(path, parse, "the list of attributes", "lines are NAME and 1 or -1 for each attribute")
    if attribute not in names:
        near = get_close_matches(attribute, names, n=3, cutoff=0.4) or names
        raise UsageError(f"{path}: there is no attribute {attribute!r}", f"there are: {', '.join(near)}")
    if counts[0] != len(found):
        raise DataError(f"{path}:1: says {counts[0]} pictures, and {len(found)} lines follow")
    return found


def _numbered(path: Path, found: Mapping[str, Attribute]) -> dict[int, Attribute]:
    numbered: dict[int, Attribute] = {}
    for name, said in found.items():
        if not (match := NUMBER.fullmatch(name)):
            raise DataError(f"{path}:{said.number}: {said.name} has no number at its end")
        if other := numbered.get(int(match[1])):
            raise DataError(f"{path}:{said.number}: {said.name} has the number of {other.name}")
        numbered[int(match[1])] = said
    return numbered


def _mapped(mapping: Path, path: Path, found: Mapping[str, Attribute]) -> dict[int, Attribute]:
    columns: list[str] = []
    numbered: dict[int, Attribute] = {}

    def parse(number: int, line: bytes) -> None:
        fields = decode_line(line).split()
        if number == 1:
            if not {"idx", "orig_file"} <= set(fields):
                raise ValueError("columns idx and orig_file are wanted")
            columns.extend(fields)
            return
        if len(fields) != len(columns):
            raise ValueError(f"has {len(fields)} columns, and there are {len(columns)}")
        index, name = fields[columns.index("idx")], fields[columns.index("orig_file")]
        if not (index.isascii() and index.isdecimal()):
            raise ValueError(f"idx is {index!r}, and a number is wanted")
        if int(index) in numbered:
            raise ValueError(f"{index} has a line already")
        said = found.get(Path(name).stem)
        if said is None:
            raise ValueError(f"there is no {name} in {path.name}")
        numbered[int(index)] = said

    parse_lines(mapping, parse, "lines IDX ORIG_IDX ORIG_FILE", "lines are IDX ORIG_IDX ORIG_FILE")
    return numbered
