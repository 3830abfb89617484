"""Items with symbols that training never saw, and how they are named.

A run takes all such symbols for one, the unknown one, so that answers about them mean little.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from unicodedata import combining, name

from hardpp.errors import DataError

_TOLD = 5  # such items named one by one


class Unseen(NamedTuple):
    """An item with symbols that training never saw."""

    place: int  # among the items asked about, from 0
    name: str
    symbols: tuple[str, ...]
    of: str = ""  # what of the item has them: "target "; "": its source
    alike: tuple[str, ...] = ()  # what training saw that differs from them in case alone

    def sentence(self, where: str) -> str:
        """What is told of it; `where` is a file and line, or another way to find it."""
        symbols = " ".join(map(legible, self.symbols))
        case = f"; it knows {' '.join(map(legible, self.alike))}: the case is another" if self.alike else ""
        return f"{where}: {self.of}{self.name!r} has symbols never seen in training: {symbols}{case}"


def found_unseen(
    symbols_of_items: Iterable[tuple[str, Sequence[str]]], of: str = "", known: Iterable[str] = ()
) -> list[Unseen]:
    """The items that have symbols which training never saw.

    Args:
        symbols_of_items: The name of each item, and such symbols of it.
        of: As in `Unseen`.
        known: The symbols that training saw.
    """
    found, folded = [], {symbol.casefold(): symbol for symbol in known}
    for place, (called, more) in enumerate(symbols_of_items):
        if symbols := tuple(dict.fromkeys(more)):
            others = [(each, folded.get(each.casefold(), each)) for each in symbols]
            alike = tuple(other for each, other in others if other != each)  # not what is called <unk>
            found.append(Unseen(place, called, symbols, of, alike))
    return found


def placed(items: Any, numbers: Sequence[int] | None, otherwise: str) -> Callable[[int], str]:
    """Where each of some items is to be found, by its index: the line that it knows, or its number.

    Args:
        items: A list of items, which may have a `place` (`hardpp.data.lines.Place`); or something else.
        numbers: Of the items; None: from 1 on.
        otherwise: Stands before a number.
    """

    def where(index: int) -> str:
        at = getattr(items[index], "place", None) if isinstance(items, list) else None
        number = index + 1 if numbers is None else numbers[index]
        if at is None:
            return f"{otherwise}{number}"
        return f"{at.path}:{at.number}" if at.number else f"{at.path}"  # a whole file

    return where


def tell_unseen(
    found: Sequence[Unseen], where: Callable[[int], str], report: Callable[[str], None], *, stop: bool
) -> None:
    """Report the first of such items and how many more there are, or refuse them, by a DataError."""
    told = [each.sentence(where(each.place)) for each in found[:_TOLD]]
    if found and stop:
        more = f" (and {len(found) - 1} more such lines)" if len(found) > 1 else ""
        raise DataError(f"{told[0]}{more}", "--unknown warn takes each of them for the unknown symbol")
    for sentence in told:
        report(f"warning: {sentence}")
    if len(found) > _TOLD:
        report(f"warning: {len(found) - _TOLD} more have such symbols")


def legible(symbol: str) -> str:
    """A symbol as people see it: one that they would not, such as a blank, stands in quotation marks.

    What is added to another letter, as an accent is, has its name beside it.
    """
    if symbol.isprintable() and symbol.split() == [symbol]:
        return symbol if not combining(symbol[0]) else f"{symbol} ({name(symbol[0], hex(ord(symbol[0])))})"
    return repr(symbol)
