"""What glimpse sequences of one file have in common: the grid of patches, and what they were made for.

The first pixels of patches along a side are the whole parts of C numbers at equal distances, from 0 to
`last`.

Shapes: G glimpses, C cells a side.
"""

import re
from dataclasses import dataclass, fields
from functools import cached_property

from hardpp.data.parts import ALL, PARTS

VERSION = "1"  # of the format of their files
MOST = 99_999  # of any number in them
FIRST = "hardpp glimpse sequences"  # the key of the version

_HEX = re.compile("[0-9a-f]+")
_BREAKS = re.compile("[\t\n\r\0]")

Corner = tuple[int, int]  # row and column of the top left pixel of a patch


def check_name(name: str) -> None:
    """Refuse, by a ValueError, a name of an image that cannot be written in a line of such a file."""
    if not _fits_in_line(name):
        raise ValueError(f"the name {name!r} is not kept: UTF-8 without tabs and line breaks is wanted")


@dataclass(frozen=True)
class SequenceHeader:
    """What the sequences of a file have in common; a ValueError says what is wrong with it."""

    size: int  # pixels a side of the images
    patch: int  # pixels a side
    cells: int  # C
    last: int  # the first pixel of the last patch along a side
    glimpses: int  # G, the most of an image
    fewest: int  # of an image; fewer than G where sequences end once little is left to learn
    data: str  # where the images are from
    part: str  # train, dev, test or all
    fingerprint: str  # of the images of that part, in hex
    configuration: str  # a hash of the settings that made the sequences, in hex

    def __post_init__(self) -> None:
        if fault := self._fault():
            raise ValueError(fault)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first pixels of the C patches along a side."""
        return tuple(cell * self.last // max(1, self.cells - 1) for cell in range(self.cells))

    @property
    def lines(self) -> list[str]:
        """The lines of the header, without line breaks."""
        items = {FIRST: VERSION, **{key: str(getattr(self, key)) for key in KEYS}}
        return [f"# {key}: {value}" for key, value in items.items()]

    def check_corner(self, corner: Corner) -> None:
        """Refuse, by a ValueError, a corner that is not one of the grid."""
        row, column = corner
        if min(corner) < 0 or max(corner) > self.size - self.patch:
            raise ValueError(
                f"the patch at {row},{column} is not within an image of {self.size} pixels a side, "
                f"where patches of {self.patch} begin at 0 to {self.size - self.patch}"
            )
        if not {row, column} <= self._on_grid:
            raise ValueError(
                f"{row},{column} is not on the grid of {self.cells} places a side from 0 to {self.last}"
            )

    def check_count(self, count: int) -> None:
        """Refuse, by a ValueError, a number of places of an image that is not possible."""
        if not self.fewest <= count <= self.glimpses:
            wanted = self.glimpses if self.fewest == self.glimpses else f"{self.fewest} to {self.glimpses}"
            raise ValueError(f"has {count} places, and {wanted} are wanted")

    @cached_property
    def _on_grid(self) -> frozenset[int]:
        return frozenset(self.starts)

    # Begins with the key that is wrong.
    def _fault(self) -> str:
        for key in ("size", "patch", "cells", "glimpses"):
            if not 1 <= getattr(self, key) <= MOST:
                return f"{key} is {getattr(self, key)}, and 1 to {MOST} are possible"
        if not 0 <= self.fewest <= self.glimpses:
            return f"fewest is {self.fewest}, and 0 to {self.glimpses} are possible"
        if self.patch > self.size:
            return f"patch is {self.patch}, and images have {self.size} pixels a side"
        if not 0 <= self.last <= self.size - self.patch:
            return f"last is {self.last}, and patches begin at 0 to {self.size - self.patch}"
        if self.cells > self.last + 1:
            return f"cells is {self.cells}, and from 0 to {self.last} there are {self.last + 1}"
        if not _fits_in_line(self.data):
            return f"data is {self.data!r}, and UTF-8 without tabs and line breaks is wanted"
        if self.part not in (parts := (*PARTS, ALL)):
            return f"part is {self.part!r}, and it is one of {', '.join(parts)}"
        for key in ("fingerprint", "configuration"):
            if not _HEX.fullmatch(getattr(self, key)):
                return f"{key} is {getattr(self, key)!r}, and digits 0 to 9 and a to f are wanted"
        return ""


KEYS = tuple(field.name for field in fields(SequenceHeader))
NUMBERS = tuple(field.name for field in fields(SequenceHeader) if field.type is int)


def _fits_in_line(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as names of files may hold
        return False
    return bool(text) and not _BREAKS.search(text)
