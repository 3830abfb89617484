import pytest
import torch

from hardpp.data.transduction.batches import Encoded, collate, encode
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import BOUNDARY, UNKNOWN, Vocabulary


def test_pairs_become_ids_of_their_side():
    pairs = [Pair(("b", "a"), ("X",), (("X",), ("Y",))), Pair(("z",), ("Y", "X"), (("Y", "X"),))]
    source, target = Vocabulary.of([("a", "b")]), Vocabulary.of([("X", "Y")])
    assert encode(pairs, source, target) == [Encoded([3, 2], [2]), Encoded([UNKNOWN], [3, 2])]


def test_collate_pads_on_the_right_and_ends_both_sides_with_the_boundary():
    batch = collate([Encoded([5, 6, 7], [2]), Encoded([8], [3, 4, 9]), Encoded([9, 9], [])])
    assert batch.source.tolist() == [[5, 6, 7, BOUNDARY], [8, BOUNDARY, 0, 0], [9, 9, BOUNDARY, 0]]
    assert batch.source_mask.sum(1).tolist() == [4, 2, 3]
    assert batch.source_mask.tolist()[1] == [True, True, False, False]
    assert batch.target.tolist() == [[2, BOUNDARY, 0, 0], [3, 4, 9, BOUNDARY], [BOUNDARY, 0, 0, 0]]
    assert batch.target_mask.sum(1).tolist() == [2, 4, 1]
    assert batch.target_mask.tolist()[0] == [True, True, False, False]
    assert batch.source.dtype == batch.target.dtype == torch.int64
    assert batch.source_mask.dtype == batch.target_mask.dtype == torch.bool


def test_collate_refuses_an_empty_batch_and_an_empty_source():
    with pytest.raises(ValueError, match="at least one pair"):
        collate([])
    with pytest.raises(ValueError, match="an empty one in row 1"):
        collate([Encoded([2], [2]), Encoded([], [2])])
