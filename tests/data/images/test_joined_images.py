import torch
from image_files import held

from hardpp.data.images.digit_scenes import RECIPES, scenes
from hardpp.data.images.joined_images import JoinedImages
from hardpp.data.images.labelled import LabelledImages


def test_parts_come_one_after_the_other() -> None:
    parts = {"train": held(5, "train"), "dev": held(2, "dev"), "test": held(3, "test")}
    joined = JoinedImages(dict(parts))
    pixels = torch.cat([part.read().pixels for part in parts.values()])
    assert (len(joined), joined.size) == (10, (1, 28, 28))
    assert joined.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 1, 2]
    assert joined.names == [
        f"{part}/{n}" for part, count in (("train", 5), ("dev", 2), ("test", 3)) for n in range(count)
    ]
    assert joined.read().pixels.equal(pixels)
    assert joined.read([9, 0, 5, 9]).pixels.equal(pixels[[9, 0, 5, 9]])
    assert joined.read().boxes is None
    assert joined.plain() is joined is not joined.at_side(28)
    assert joined.fingerprint() != JoinedImages({**parts, "dev": held(2, "other")}).fingerprint()


def test_boxes_are_there_where_all_parts_know_them() -> None:
    digits = LabelledImages("digits", held(4, "a"), held(2, "b"), held(2, "c"), tuple("0123456789"))
    made = scenes(digits, "made", seed=0, recipe=RECIPES["translated-mnist"])
    joined = JoinedImages({"dev": made.dev, "test": made.test})
    wanted = made.test.read().boxes
    found = joined.read([2, 3]).boxes
    assert found is not None
    assert wanted is not None
    assert found.equal(wanted)
