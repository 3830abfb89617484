"""Pairs of texts, and sequences of them whose sides can be read one without the other."""

from abc import abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple, Self

from hardpp.data.lazily import Lazy, Mapped
from hardpp.data.transduction.folding import Folding


class TextPair(NamedTuple):
    """Two texts that mean the same, each one line."""

    source: str
    target: str


class TwoSides(Lazy[TextPair]):
    """Pairs one side of which can be read without making pairs, which takes longer."""

    @abstractmethod
    def side(self, name: str) -> Sequence[str]:
        """All sources ("source") or all targets ("target"), in order."""


def side_of(pairs: Sequence[TextPair], name: str) -> Sequence[str]:
    """All sources or all targets of pairs, in order."""
    return pairs.side(name) if isinstance(pairs, TwoSides) else Mapped(pairs, attrgetter(name))


class FoldedPairs(TwoSides):
    """Pairs whose texts are folded when they are asked for."""

    def __init__(self, pairs: Sequence[TextPair], source: Folding, target: Folding):
        self._pairs, self._foldings = pairs, {"source": source, "target": target}

    def __len__(self) -> int:
        return len(self._pairs)

    def member(self, index: int) -> TextPair:
        source, target = self._pairs[index]
        return TextPair(self._foldings["source"](source), self._foldings["target"](target))

    def members(self, which: slice) -> Self:
        return type(self)(self._pairs[which], **self._foldings)

    def side(self, name: str) -> Sequence[str]:
        return Mapped(side_of(self._pairs, name), self._foldings[name].__call__)
