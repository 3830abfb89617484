"""How many items `select` gave, and some of them, whether they are a list or a family's own selection."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from hardpp.errors import UsageError


@runtime_checkable
class Selection(Protocol):
    """What a family selects, where that is no list."""

    @property
    def size(self) -> int:
        """How many items these are."""

    def at(self, indices: Sequence[int]) -> Any:
        """Some of them, by their indices, in that order."""


def count(items: Any) -> int:
    """How many items these are.

    Raises:
        UsageError: they are neither a list nor a `Selection`.
    """
    return len(items) if isinstance(items, list) else _selection(items).size


def some(items: Any, indices: Sequence[int]) -> Any:
    """Some of the items, by their indices; raises as `count`."""
    if isinstance(items, list):
        return [items[index] for index in indices]
    return _selection(items).at(indices)


def _selection(items: Any) -> Selection:
    if not isinstance(items, Selection):
        raise UsageError(f"{type(items).__name__} has no size, or cannot be taken apart: it is no Selection")
    return items
