import image_files
import pytest
import torch

from hardpp.data.images.digit_scenes import scenes
from hardpp.data.images.labelled import FirstImages, InMemoryImages, collate, first_images


def test_images_in_memory_are_read_by_place() -> None:
    held = image_files.held(6)
    assert (len(held), held.size) == (6, (1, 28, 28))
    for places in ([4, 1], torch.tensor([4, 1])):
        shown = held.read(places, epoch=3)
        assert shown.pixels.equal(held.images[[4, 1]])
        assert shown.boxes is None
    assert held.read().pixels is held.images
    part = held.part(-2, None)
    assert part.labels.tolist() == [4, 5]
    assert part.images.data_ptr() == held.images[4:].data_ptr()


def test_the_first_images_of_a_part() -> None:
    held = image_files.held(6)
    some = first_images(held, 4)
    assert (len(some), some.size, some.names) == (4, (1, 28, 28), None)
    assert some.labels.tolist() == [0, 1, 2, 3]
    assert some.read().pixels.equal(held.images[:4])
    assert some.read([3, 1], epoch=2).pixels.equal(held.images[[3, 1]])
    assert len({held.fingerprint(), some.fingerprint(), FirstImages(held, 3).fingerprint()}) == 3
    assert first_images(held, None) is first_images(held, 6) is first_images(held, 7) is held


def test_the_fingerprint_sees_every_part_and_the_classes() -> None:
    one = image_files.labelled()
    assert one.fingerprint() == image_files.labelled().fingerprint()
    others = [
        one._replace(dev=one.test),
        one._replace(test=one.dev),
        one._replace(classes=tuple("abcdefghij")),
    ]
    others.append(one._replace(train=one.train.part(1, None)))
    train = one.train
    others.append(one._replace(train=InMemoryImages(train.images, train.labels.flip(0))))
    assert len({other.fingerprint() for other in [one, *others]}) == 6


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)),
    ],
)
def test_other_shapes_and_kinds_are_refused(images: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="expected"):
        InMemoryImages(images, labels)


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
