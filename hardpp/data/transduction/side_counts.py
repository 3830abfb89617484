"""What the sources or targets of pairs hold, and their ids, of pairs in memory or packed ones alike."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from hardpp.data.transduction.batches import Encoded, encode
from hardpp.data.transduction.packed_pairs import SIDES, PackedPairs, SideCounts
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import Vocabulary


def side_counts(pairs: Sequence[Pair], side: str) -> SideCounts:
    """Symbols and lengths of all sources, or of all targets that train."""
    if isinstance(pairs, PackedPairs):
        return pairs.counts(side)
    sequences = [getattr(pair, side) for pair in pairs]
    symbols = Counter(symbol for sequence in sequences for symbol in sequence)
    return SideCounts(symbols, np.array([len(sequence) for sequence in sequences], np.int64))


class PackedIds(Sequence[Encoded]):
    """Packed pairs as ids of two vocabularies, each made when it is asked for."""

    def __init__(self, pairs: PackedPairs, source: Vocabulary, target: Vocabulary):
        self._pairs = pairs
        self._ids = [
            np.array(vocabulary.encode(pairs.part.symbols[pairs.side(name)]), np.int64)
            for name, vocabulary in zip(SIDES, (source, target), strict=True)
        ]

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, which: int) -> Encoded: ...
    @overload
    def __getitem__(self, which: slice) -> list[Encoded]: ...
    def __getitem__(self, which: int | slice) -> Any:
        if isinstance(which, slice):
            return [self[index] for index in range(len(self))[which]]
        row, part = self._pairs.rows[which], self._pairs.part
        sides = []
        for name, ids in zip(SIDES, self._ids, strict=True):
            side = self._pairs.side(name)
            starts = part.starts[side]
            sides.append(ids[part.ids[side][starts[row] : starts[row + 1]]].tolist())
        return Encoded(*sides)


def encoded(pairs: Sequence[Pair], source: Vocabulary, target: Vocabulary) -> Sequence[Encoded]:
    """Pairs as ids, those of packed ones where they are asked for."""
    if isinstance(pairs, PackedPairs):
        return PackedIds(pairs, source, target)
    return encode(pairs, source, target)
