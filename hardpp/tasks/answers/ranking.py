"""Which items of a run are worth looking at: those it is least certain of, and those it has wrong.

Both are looked for among the first `CONSIDERED` items, as every item costs a pass of the model.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from hardpp.tasks.answers.decoded import Decoded

CONSIDERED = 100  # items


class Uncertain(NamedTuple):
    """How uncertain a run is about one item."""

    row: int  # of the item
    value: float  # in the run's measure


class Judged(NamedTuple):
    """What a run says of one item, and what would have been right."""

    row: int  # of the item
    name: str
    said: str
    right: str  # of several right texts the first
    error: float  # 0 is right


class RankedRun(ABC):
    """A run that says of its items how uncertain it is, and how wrong."""

    kind: ClassVar[str]  # what its items are, as messages call them: "pairs"
    uncertainty: ClassVar[str]  # what items are ordered by, in words, with its unit
    error: ClassVar[str]  # how wrong what it says is, in words; "" where nothing is right

    def most_uncertain(self, items: Any, count: int) -> list[Uncertain]:
        """The items of the largest `uncertainty` among the first, the most uncertain one first."""
        considered = list(self._candidates(items))[:CONSIDERED]
        values = self._uncertainty(self._at(items, considered)) if considered else []
        found = [Uncertain(*pair) for pair in zip(considered, values, strict=True)]
        ordered = sorted(found, key=lambda item: math.inf if math.isnan(item.value) else -item.value)
        return ordered[:count]

    def most_wrong(self, items: Any, count: int) -> tuple[list[Judged], int]:
        """The items of the largest `error` among the first, and how many of these were looked at.

        Of equal errors that one comes first which the run was surest of. Items that are right are left out;
        there are none of a run without right texts.
        """
        considered = list(self._candidates(items))[:CONSIDERED]
        if not considered or not self.error:
            return [], 0
        part = self._at(items, considered)
        said_of = self.decode(part, report=lambda text: None)  # of symbols that training never saw, too
        rows = zip(considered, said_of, self._right(part), self._uncertainty(part), strict=True)
        judged = [
            (Judged(row, name, said, right[0], self._error(said, right)), uncertainty)
            for row, (name, said), right, uncertainty in rows
        ]
        wrong = [pair for pair in judged if pair[0].error > 0]
        ordered = sorted(wrong, key=lambda pair: (-pair[0].error, pair[1]))
        return [item for item, _ in ordered][:count], len(considered)

    @abstractmethod
    def decode(
        self, items: Any = None, *, report: Callable[[str], None] = warnings.warn
    ) -> Sequence[Decoded]: ...

    # What each family answers.
    @abstractmethod
    def _names(self, items: Any) -> list[str]:
        """The items as the user knows them."""

    @abstractmethod
    def _at(self, items: Any, indices: Sequence[int]) -> Any:
        """Some of the items."""

    @abstractmethod
    def _uncertainty(self, items: Any) -> list[float]:
        """The measure of each item."""

    def _candidates(self, items: Any) -> Sequence[int]:
        """Indices of the items from which some are chosen that nobody named; by default all."""
        return range(len(self._names(items)))

    def _right(self, items: Any) -> list[tuple[str, ...]]:
        """The texts that would be right for each item, as `decode` says them."""
        raise NotImplementedError

    def _error(self, said: str, right: Sequence[str]) -> float:
        """How wrong a text is, given those that are right."""
        raise NotImplementedError
