import image_files
import pytest
import torch

from hardpp.data.images.batches import collate, shuffled
from hardpp.data.images.digit_scenes import scenes


def test_every_place_is_in_one_batch_and_epochs_differ() -> None:
    batches = shuffled(23, 5, seed=1, epoch=0)
    assert sorted(place for batch in batches for place in batch) == list(range(23))
    assert sorted(map(len, batches)) == [3, 5, 5, 5, 5]
    assert shuffled(23, 5, seed=1, epoch=0) == batches
    assert len({str(shuffled(23, 5, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    with pytest.raises(ValueError, match="batch size"):
        shuffled(23, 0, 0, 0)


def test_a_batch_is_the_images_of_the_epoch_with_their_labels() -> None:
    part = scenes(image_files.labelled(), "translated-mnist").train
    for epoch in (0, 2):
        batch = collate(part, [12, 5], epoch)
        assert batch.source.equal(part.read([12, 5], epoch).pixels)
        assert batch.target.tolist() == [2, 5]
        assert batch.target.dtype == torch.int64
        assert batch.size == 2
        assert batch.symbols == 2
    assert collate(part, [5]).source.equal(part.read([5]).pixels)
    with pytest.raises(ValueError, match="at least one image"):
        collate(part, [])
