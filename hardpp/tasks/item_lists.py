"""The items that a run is asked about: a list, or a family's own selection, which is used like one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from hardpp.errors import UsageError


class Selection(ABC):
    """Items of one part, where a family's items need what they have in common, such as their images.

    `len(items)` is how many these are, `items[:20]` the first of them, `items[3]` a selection of one alone.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def at(self, indices: Sequence[int]) -> Self:
        """Some of them, by their indices, in that order."""

    def __getitem__(self, which: int | slice) -> Self:
        indices = range(len(self))[which]  # an IndexError where there is no such item
        return self.at(indices if isinstance(indices, range) else [indices])


def count(items: Any) -> int:
    """How many items these are.

    Raises:
        UsageError: they are neither a list nor a `Selection`.
    """
    return len(_checked(items))


def some(items: Any, indices: Sequence[int]) -> Any:
    """Some of the items, by their indices; raises as `count`."""
    items = _checked(items)
    return [items[index] for index in indices] if isinstance(items, list) else items.at(indices)


def _checked(items: Any) -> Any:
    if not isinstance(items, (list, Selection)):
        raise UsageError(f"{type(items).__name__} has no size, or cannot be taken apart: it is no Selection")
    return items
