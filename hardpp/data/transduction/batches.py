"""Padded batches of pairs.

Shapes: B data, T output steps, S source positions, the boundary included in both.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hardpp.data.batches import pad
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import Vocabulary
from hardpp.types import SequenceBatch


class Encoded(NamedTuple):
    """One pair as ids; neither side has its boundary yet."""

    source: list[int]
    target: list[int]


def encode(pairs: Iterable[Pair], source: Vocabulary, target: Vocabulary) -> list[Encoded]:
    """Encode the source of each pair and the target that trains; references are left to scoring."""
    return [Encoded(source.encode(pair.source), target.encode(pair.target)) for pair in pairs]


def collate(items: Sequence[Encoded]) -> SequenceBatch:
    """Append the boundary to the sources (B, S) and targets (B, T) of at least one pair, and pad them.

    The end of a source is a position like any other: what the end of the output attends to. No source may be
    empty without it.
    """
    if not items:
        raise ValueError("expected at least one pair a batch, got none")
    for row, item in enumerate(items):
        if not item.source:
            raise ValueError(f"expected a source of at least one symbol, got an empty one in row {row}")
    return SequenceBatch(*pad([item.source for item in items]), *pad([item.target for item in items]))
