"""Padded batches of pairs.

Shapes: B data, T output steps, S source positions, the boundary included in both.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hardpp.data.padding import pad
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.types import SequenceBatch


class Encoded(NamedTuple):
    """One pair as ids; neither side has its boundary yet."""

    source: list[int]
    target: list[int]


def encode(
    pairs: Iterable[Pair], source_vocabulary: Vocabulary, target_vocabulary: Vocabulary
) -> list[Encoded]:
    """Encode the source of each pair and the target that trains; references are left to scoring."""
    return [
        Encoded(source_vocabulary.encode(pair.source), target_vocabulary.encode(pair.target))
        for pair in pairs
    ]


def collate(items: Sequence[Encoded]) -> SequenceBatch:
    """Append `BOUNDARY` to every source and target, and pad on the right with 0.

    The end of a source is a position like any other: what the end of the output looks at.

    Returns:
        source and target (B, S) and (B, T) int64, their masks bool; S and T are the longest plus one.

    Raises:
        ValueError: There are no items, or a source is empty.
    """
    if not items:
        raise ValueError("expected at least one pair a batch, got none")
    for row, item in enumerate(items):
        if not item.source:
            raise ValueError(f"expected a source of at least one symbol, got an empty one in row {row}")
    source, source_mask = pad([[*item.source, BOUNDARY] for item in items])
    target, target_mask = pad([[*item.target, BOUNDARY] for item in items])
    return SequenceBatch(source, source_mask, target, target_mask)
