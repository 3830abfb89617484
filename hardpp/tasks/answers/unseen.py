"""Items with symbols that training never saw, and how they are named.

A run takes all such symbols for one, the unknown one, so that answers about them mean little.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from unicodedata import combining, name


class Unseen(NamedTuple):
    """An item with symbols that training never saw."""

    place: int  # among the items asked about, from 0
    name: str
    symbols: tuple[str, ...]
    of: str = ""  # what of the item has them: "target "; "": its source

    def sentence(self, where: str) -> str:
        """What is told of it; `where` is a file and line, or another way to find it."""
        symbols = " ".join(map(legible, self.symbols))
        return f"{where}: {self.of}{self.name!r} has symbols never seen in training: {symbols}"


def found_unseen(symbols_of_items: Iterable[tuple[str, Sequence[str]]], of: str = "") -> list[Unseen]:
    """Those of all items, given by name and unknown symbols, that have any; `of` is as in `Unseen`."""
    found = enumerate(symbols_of_items)
    return [Unseen(place, name, tuple(dict.fromkeys(more)), of) for place, (name, more) in found if more]


def legible(symbol: str) -> str:
    """A symbol as people see it: one that they would not, such as a blank, stands in quotation marks.

    What is added to another letter, as an accent is, has its name beside it.
    """
    if symbol.isprintable() and symbol.split() == [symbol]:
        return symbol if not combining(symbol[0]) else f"{symbol} ({name(symbol[0], hex(ord(symbol[0])))})"
    return repr(symbol)
