import hashlib

import image_files
import numpy as np
import pytest
import torch

from hardpp.data.images import digit_scenes
from hardpp.data.images.digit_scenes import RECIPES, Recipe, Scenes, scenes
from hardpp.data.images.labelled import InMemoryImages, LabelledImages
from hardpp.errors import DataError

TRANSLATED = ("translated-mnist", "translated-scaled-mnist")
CLUTTERED = ("cluttered-mnist", "cluttered-mnist-100", "mnist-64", "mnist-112")


def corpus(name: str, **options: object) -> LabelledImages:
    return scenes(image_files.labelled(), name, **options)  # type: ignore[arg-type]


def inside(pixels: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    left, top, right, bottom = box.tolist()
    return pixels[:, top:bottom, left:right]


@pytest.mark.parametrize("name", RECIPES)
def test_a_digit_lies_wholly_on_the_canvas_with_its_label(name: str) -> None:
    found = corpus(name)
    side = {"translated-mnist": 60, "cluttered-mnist": 60, "mnist-64": 64, "mnist-112": 112}.get(name, 100)
    for part, count in ((found.train, 30), (found.dev, 10), (found.test, 10)):
        shown = part.read()
        assert shown.pixels.shape == (count, 1, side, side)
        assert shown.pixels.dtype == torch.uint8
        assert (len(part), part.size) == (count, (1, side, side))
        assert part.labels.tolist() == [number % 10 for number in range(count)]
        assert shown.boxes is not None
        assert shown.boxes.dtype == torch.int64
        assert (shown.boxes[:, :2] < shown.boxes[:, 2:]).all()
        assert shown.boxes.min() >= 0
        assert shown.boxes.max() <= side


@pytest.mark.parametrize("name", ["translated-mnist", "cluttered-mnist"])
def test_without_scaling_the_box_holds_the_digit_s_own_pixels(name: str) -> None:
    digits, found = image_files.labelled(), corpus(name)
    for part in ("train", "dev", "test"):  # whose digits all differ
        own, shown = getattr(digits, part).read().pixels, getattr(found, part).read()
        for digit, pixels, box in zip(own, *shown, strict=True):
            wanted = digit[:, 7:21, 9:18]  # where the blots are
            if name in CLUTTERED:  # the lighter pixel wins
                assert (inside(pixels, box) >= wanted).all()
            else:
                assert inside(pixels, box).equal(wanted)


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_box_is_tight_around_all_that_is_there(name: str) -> None:
    shown = corpus(name).test.read()
    assert shown.boxes is not None
    for pixels, box in zip(shown.pixels, shown.boxes, strict=True):
        _, rows, columns = pixels.nonzero(as_tuple=True)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("name", RECIPES)
def test_scenes_do_not_depend_on_what_they_are_read_with(name: str) -> None:
    part = corpus(name).train
    every, some = part.read(), part.read(torch.tensor([7, 3, 29]))
    assert some.pixels.equal(every.pixels[[7, 3, 29]])
    assert every.boxes is not None
    assert some.boxes is not None
    assert some.boxes.equal(every.boxes[[7, 3, 29]])


def test_more_scenes_than_are_rendered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = corpus("cluttered-mnist").train.read()
    monkeypatch.setattr(digit_scenes, "_AT_ONCE", 7)
    after = corpus("cluttered-mnist").train.read()
    assert after.pixels.equal(before.pixels)
    assert after.boxes is not None
    assert before.boxes is not None
    assert after.boxes.equal(before.boxes)


@pytest.mark.parametrize("name", CLUTTERED)
def test_clutter_is_pieces_of_other_digits_of_the_part(name: str) -> None:
    # Each digit has a shade of its own, which tells where a pixel comes from.
    digits = InMemoryImages(
        torch.arange(1, 41, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 1, 28, 28), torch.arange(40)
    )
    pieces = RECIPES[name].pieces
    part = Scenes(digits, RECIPES[name], "key", fresh=True)
    shades = [set(pixels.unique().tolist()) - {0} for pixels in part.read().pixels]
    others = [found - {own} for own, found in enumerate(shades, start=1)]
    assert max(map(len, others)) in (pieces - 1, pieces)
    many = torch.cat([part.read(epoch=epoch).pixels for epoch in range(1, 9)])
    assert set(many.unique().tolist()) == set(range(41))
    plain = Scenes(digits, RECIPES[name]._replace(pieces=0), "key", fresh=True).read()
    boxes, counted = part.read().boxes, 0
    assert boxes is not None
    assert plain.boxes is not None
    assert boxes.equal(plain.boxes)
    for own, (pixels, digit) in enumerate(zip(part.read().pixels, plain.pixels, strict=True), start=1):
        clutter = (pixels != digit).sum().item()
        assert clutter <= pieces * digit_scenes.PIECE**2
        counted += clutter == pieces * digit_scenes.PIECE**2
        # A digit that is lighter than all pieces is untouched.
        assert pixels[digit > 0].min() >= own
    assert counted  # somewhere all pieces lie apart


def test_clutter_is_never_of_the_scene_s_own_digit() -> None:
    shades = torch.tensor([200, 100], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 28, 28)
    part = Scenes(InMemoryImages(shades, torch.arange(2)), Recipe(60, pieces=4), "key", fresh=True)
    for epoch in range(5):
        first, second = part.read(epoch=epoch).pixels
        # The lighter digit's scene has its own 28 x 28 pixels and no more of that shade.
        assert (first == 200).sum() == 28 * 28
        assert set(first.unique().tolist()) == {0, 100, 200}
        assert set(second.unique().tolist()) == {0, 100, 200}


def test_scaled_digits_have_every_side_and_place_within_the_recipe() -> None:
    full = InMemoryImages(
        torch.full((3000, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(3000, dtype=torch.int64)
    )
    boxes = Scenes(full, RECIPES["translated-scaled-mnist"], "key").read().boxes
    assert boxes is not None
    left, top, right, bottom = boxes.T
    assert (right - left).equal(bottom - top)
    assert (right - left).unique().tolist() == list(range(14, 57))
    assert (left.min(), top.min(), right.max(), bottom.max()) == (0, 0, 100, 100)


def test_places_are_uniform_over_the_canvas() -> None:
    full = InMemoryImages(
        torch.full((4, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    )
    part = Scenes(full, Recipe(29), "key", fresh=True)
    found = {tuple(box) for epoch in range(20) for box in part.read(epoch=epoch).boxes.tolist()}  # type: ignore[union-attr]
    assert found == {(x, y, x + 28, y + 28) for x in (0, 1) for y in (0, 1)}


def test_train_is_placed_anew_in_every_epoch_and_dev_and_test_never() -> None:
    found = corpus("translated-mnist")
    first = found.train.read()
    assert not found.train.read(epoch=1).pixels.equal(first.pixels)
    assert found.train.read(epoch=0).pixels.equal(first.pixels)
    for part in (found.dev, found.test, corpus("translated-mnist", fresh=False).train):
        assert part.read(epoch=1).pixels.equal(part.read().pixels)
    assert corpus("translated-mnist", fresh=False).train.read().pixels.equal(first.pixels)


def test_the_seed_decides_and_the_fingerprint_tells() -> None:
    made = [corpus("translated-mnist"), corpus("translated-mnist", seed=1), corpus("cluttered-mnist")]
    made.append(corpus("translated-mnist", fresh=False))
    assert len({one.fingerprint() for one in made}) == 4
    assert corpus("translated-mnist").fingerprint() == made[0].fingerprint()
    assert not made[0].test.read().pixels.equal(made[1].test.read().pixels)


def test_parts_do_not_share_places() -> None:
    digits = image_files.held(10)
    found = scenes(LabelledImages("same", digits, digits, digits, tuple("0123456789")), "translated-mnist")
    boxes = [part.read().boxes for part in (found.train, found.dev, found.test)]
    assert not np.array_equal(boxes[0], boxes[1])
    assert not np.array_equal(boxes[1], boxes[2])


PIXELS = {
    "mnist-64": "a1c0394f1e5fb1e53b963648e35baa4f7df821249d4760a556202af5a6f80592",
    "mnist-112": "1b4b025bf70f2d6a9d6ab254b445574a1a657a096eeb1156e9239d26bc22cfca",
    "translated-mnist": "ec83590b14836f5bde7612cbf45af39522fc8e15acf224078c6c3c2e26346f1b",
    "translated-scaled-mnist": "44d33e56aa53b28359d238a0a6a9893a2ddb376b4e6e582f7a5a3a985a76cd69",
    "cluttered-mnist": "09e4735cbae2063f3019bb7e9c62a496a31b56709e620aba4ddbbc3ff73b2f78",
    "cluttered-mnist-100": "d6da909c4e5cf626b72a0b0b7489b31c36466ce325bc4724db7ce7fab7de677a",
}


@pytest.mark.parametrize("name", RECIPES)
def test_fixed_scenes_stay_as_they_are_for_ever(name: str) -> None:
    # Written down once; figures of different versions and machines could not be compared otherwise.
    pixels = corpus(name).test.read().pixels
    assert hashlib.sha256(pixels.numpy().tobytes()).hexdigest() == PIXELS[name]


def test_digits_that_cannot_be_placed_are_refused() -> None:
    black = image_files.held(3).images.clone()
    black[2] = 0
    labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(DataError, match="digit 2 is all black"):
        Scenes(InMemoryImages(black, labels), Recipe(60), "key")
    with pytest.raises(DataError, match="1 digits are too few"):
        Scenes(image_files.held(1), Recipe(60), "key")
    with pytest.raises(ValueError, match="square digits of one channel within the canvas"):
        Scenes(image_files.held(3), Recipe(60, 28, 61), "key")
    with pytest.raises(ValueError, match="square digits"):
        Scenes(InMemoryImages(black.expand(3, 3, 28, 28), labels), Recipe(60), "key")
    with pytest.raises(ValueError, match="expected digits in memory, got Scenes"):
        scenes(corpus("translated-mnist"), "translated-mnist")
