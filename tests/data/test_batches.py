import random

import pytest
import torch

from hardpp.data.batches import in_order, length_buckets, pad, shuffled


def lengths(count, seed=0):
    draw = random.Random(seed)
    source = [draw.randint(1, 20) for _ in range(count)]
    return source, [max(1, length + draw.randint(-2, 2)) for length in source]


def spread(batches, numbers):
    """Padding that the batches need, as a share of the symbols they hold."""
    held = sum(numbers)
    return sum(len(batch) * max(numbers[i] for i in batch) for batch in batches) / held - 1


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 400, 401, 1003])
@pytest.mark.parametrize("size", [1, 8])
def test_every_index_occurs_exactly_once(count, size):
    batches = length_buckets(*lengths(count), size, seed=1, epoch=2)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert sorted(map(len, batches))[1:] == [size] * (len(batches) - 1)
    assert len(batches) == -(-count // size)


def test_batches_depend_on_seed_and_epoch_and_nothing_else():
    given = lengths(500)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = length_buckets(*given, 8, seed=3, epoch=4)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert length_buckets(*given, 8, seed=3, epoch=4) == first


@pytest.mark.parametrize(("seed", "epoch"), [(3, 5), (4, 4), (4, 3), (5, 2), (-3, 4)])
def test_another_seed_or_epoch_gives_other_batches(seed, epoch):
    given = lengths(500)
    changed, first = (
        length_buckets(*given, 8, seed=seed, epoch=epoch),
        length_buckets(*given, 8, seed=3, epoch=4),
    )
    assert sorted(map(sorted, changed)) != sorted(map(sorted, first))


def test_batches_of_equal_length_are_still_mixed():
    first, second = (length_buckets([5] * 64, [5] * 64, 8, seed=0, epoch=epoch) for epoch in (0, 1))
    assert set(map(frozenset, first)) != set(map(frozenset, second))


def test_mates_have_nearly_equal_lengths_on_both_sides():
    source, target = lengths(4000)
    batches = length_buckets(source, target, 16, seed=0, epoch=0)
    mixed = [list(range(start, start + 16)) for start in range(0, 4000, 16)]
    assert spread(batches, source) < 0.05 < 0.6 < spread(mixed, source)
    assert spread(batches, target) < 0.10 < 0.6 < spread(mixed, target)


def test_short_and_long_batches_come_in_random_order():
    source, target = lengths(800)  # one pool, which is sorted before its batches are shuffled
    batches = length_buckets(source, target, 16, seed=0, epoch=0)
    means = torch.tensor([sum(source[i] for i in batch) / len(batch) for batch in batches])
    place = torch.arange(len(means), dtype=means.dtype)
    assert abs(torch.corrcoef(torch.stack([means, place]))[0, 1]) < 4 / len(means) ** 0.5


def test_evaluation_goes_from_short_to_long_and_can_be_put_back():
    numbers = [3, 1, 2, 3, 1]
    assert in_order(numbers, 2) == [[1, 4], [2, 0], [3]]
    back = [0] * 5
    for batch in in_order(numbers, 2):
        for index, result in zip(batch, [numbers[i] * 10 for i in batch], strict=True):
            back[index] = result
    assert back == [30, 10, 20, 30, 10]


@pytest.mark.parametrize(
    "order", [lambda size: length_buckets([1], [1], size, 0, 0), lambda size: in_order([1], size)]
)
def test_a_batch_size_below_one_is_refused(order):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        order(0)


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"as many target as source lengths \(2\), got 1"):
        length_buckets([1, 2], [1], 4, 0, 0)


def test_every_place_is_in_one_batch_and_epochs_differ() -> None:
    batches = shuffled(23, 5, seed=1, epoch=0)
    assert sorted(place for batch in batches for place in batch) == list(range(23))
    assert sorted(map(len, batches)) == [3, 5, 5, 5, 5]
    assert shuffled(23, 5, seed=1, epoch=0) == batches
    assert len({str(shuffled(23, 5, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    with pytest.raises(ValueError, match="batch size"):
        shuffled(23, 0, 0, 0)


def test_rows_get_a_boundary_and_are_padded_with_0_and_the_mask_tells_symbols_that_are_0():
    ids, mask = pad([[3, 0], [5], [7, 8, 9]])
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[3, 0, 0, 0], [5, 0, 0, 0], [7, 8, 9, 0]]
    assert mask.tolist() == [[True] * 3 + [False], [True] * 2 + [False] * 2, [True] * 4]
