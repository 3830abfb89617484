"""Several bitexts as one: all of their train parts, and a slice of every dev and test part.

A slice holds at most 1,000 pairs, those whose source has the smallest CRC-32, so that no bitext drowns the
others and searching translations of it stays affordable. Pairs beyond the slice are left out rather than
trained on, as they share their files with the slice.
"""

import zlib
from collections.abc import Sequence

from hardpp.data.transduction.pairs import Bitext, TextPair
from hardpp.data.transduction.selection import without_leaks

SLICE = 1000  # pairs of dev, and of test, from every bitext


def bitext(name: str, parts: Sequence[Bitext]) -> Bitext:
    """Unite bitexts, without duplicates and without leaks between the parts.

    Args:
        name: Of the union.
        parts: In the order in which their pairs come; `selection` says what a leak is.
    """
    train = [pair for part in parts for pair in part.train]
    dev = [pair for part in parts for pair in _slice(part.dev)]
    test = [pair for part in parts for pair in _slice(part.test)]
    train, dev, test = (list(dict.fromkeys(part)) for part in (train, dev, test))
    return without_leaks(Bitext(name, train, dev, test))


def _slice(pairs: list[TextPair]) -> list[TextPair]:
    order = sorted(range(len(pairs)), key=lambda i: (zlib.crc32(pairs[i].source.encode()), i))
    return [pairs[i] for i in sorted(order[:SLICE])]
