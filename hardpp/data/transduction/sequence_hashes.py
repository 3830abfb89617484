"""Numbers that tell sequences of ids apart, many at once.

A sequence has the sum, modulo 2^64, of a number for each (place, id) in it, which SplitMix64 (Steele, Lea and
Flood 2014) scrambles; two such sums of other numbers are 128 bits, so that two of 10^9 sequences share
theirs with a probability of 10^-21. They are no safeguard against texts that are made to collide.

Shapes: N sequences, I ids of all of them.
"""

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_WORDS = np.uint64(0), np.uint64(0xD1B54A32D192ED03)  # where the numbers of each of two sums begin


def sequence_hashes(ids: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Two numbers for each sequence, (N, 2).

    Args:
        ids: of all sequences, one after the other, (I,), from 0.
        lengths: of each sequence, (N,).
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    places = np.arange(len(ids)) - np.repeat(starts, lengths)
    keys = (places.astype(np.uint64) << np.uint64(32)) | ids.astype(np.uint64)
    hashes = np.empty((len(lengths), 2), np.uint64)
    for word, begin in enumerate(_WORDS):
        totals = np.zeros(len(ids) + 1, np.uint64)
        np.cumsum(_scrambled(keys + begin), out=totals[1:])
        hashes[:, word] = totals[ends] - totals[starts]
    return hashes


def pair_hashes(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Two numbers for each pair of sequences with such numbers; the other way round it is another pair."""
    return _scrambled(first) + second


def _scrambled(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys = keys + _GOLDEN
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        keys = (keys ^ (keys >> np.uint64(shift))) * factor
    return keys ^ (keys >> np.uint64(31))
