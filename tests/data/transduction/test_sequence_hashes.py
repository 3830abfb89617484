"""Equal sequences have equal numbers wherever they stand, and other sequences have others."""

from itertools import product

import numpy as np

from hardpp.data.transduction.sequence_hashes import pair_hashes, sequence_hashes

# Every sequence of up to five of four ids, and the same in another order.
SEQUENCES = [sequence for length in range(6) for sequence in product(range(4), repeat=length)]


def hashes(sequences: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    ids = np.array([id for sequence in sequences for id in sequence], np.int32)
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    return [tuple(row) for row in sequence_hashes(ids, lengths).tolist()]


def test_they_tell_all_sequences_apart_and_know_equal_ones_again() -> None:
    found = dict(zip(SEQUENCES, hashes(SEQUENCES), strict=True))
    for word in range(2):
        assert len({numbers[word] for numbers in found.values()}) == len(SEQUENCES)
    again = [SEQUENCES[row] for row in np.random.default_rng(0).integers(len(SEQUENCES), size=3000)]
    assert hashes(again) == [found[sequence] for sequence in again]
    assert hashes([]) == []
    assert hashes([()]) == [found[()]]


def test_pairs_have_an_order() -> None:
    both = np.array(hashes(SEQUENCES[:50]), np.uint64)
    first, second = np.repeat(both, len(both), 0), np.tile(both, (len(both), 1))
    found = pair_hashes(first, second)
    assert len({tuple(row) for row in found.tolist()}) == len(both) ** 2
