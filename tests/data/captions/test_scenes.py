import hashlib
from itertools import pairwise

import image_files
import numpy as np
import pytest
import torch

from hardpp.data.captions import scene_layout
from hardpp.data.captions.captioned import Caption, CaptionedImages
from hardpp.data.captions.scene_layout import Layout, arrange
from hardpp.data.captions.scenes import NUMBERS, DigitPictures, captioned_images
from hardpp.data.images.labelled import InMemoryImages
from hardpp.data.images.rasters import Box, tight_boxes

SIZES = {"train": 150, "dev": 10, "test": 40}


def made(**options: object) -> CaptionedImages:
    return captioned_images(image_files.labelled(), "scenes", **{"sizes": SIZES, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def corpus() -> CaptionedImages:
    return made()


def of(corpus: CaptionedImages) -> list[tuple[torch.Tensor, Caption]]:
    """Pixels (84, 84) and caption of each scene."""
    found = []
    for part in (corpus.train, corpus.dev, corpus.test):
        for pixels, (caption,) in zip(part.images.read(), part.captions, strict=True):
            found.append((pixels[0], caption))
    return found


def boxes_of(caption: Caption) -> list[Box]:
    assert caption.gold is not None
    assert list(caption.gold) == sorted(caption.gold)
    return list(caption.gold.values())


def test_sizes_and_names(corpus: CaptionedImages) -> None:
    assert corpus.name == "scenes"
    for part, count in ((corpus.train, 150), (corpus.dev, 10), (corpus.test, 40)):
        assert (len(part), len(part.images), part.images.size) == (count, count, (1, 84, 84))
        assert part.images.read().shape == (count, 1, 84, 84)
    assert corpus.test.names[3] == "test/00003"


def test_sentences_are_of_the_grammar_and_gold_is_of_the_digits(corpus: CaptionedImages) -> None:
    counts = set()
    for _, caption in of(corpus):
        text = (
            " ".join(caption.words).replace("left of", "left-of").replace("right of", "right-of").split(" ")
        )
        assert set(text[0::3]) == {"a"}
        assert set(text[1::3]) <= set(NUMBERS)
        assert set(text[2::3]) <= {"above", "below", "left-of", "right-of"}
        assert len(text) % 3 == 2
        gold = caption.gold or {}
        assert set(gold) == {place for place, word in enumerate(caption.words) if word in NUMBERS}
        counts.add(len(gold))
    assert counts == {2, 3, 4}


def test_the_boxes_hold_all_the_ink_are_tight_and_lie_apart(corpus: CaptionedImages) -> None:
    for pixels, caption in of(corpus):
        rest = pixels.clone()
        for left, top, right, bottom in (map(int, box) for box in boxes_of(caption)):
            piece = pixels[top:bottom, left:right]
            assert tight_boxes(piece.numpy()[None]).tolist() == [[0, 0, right - left, bottom - top]]
            assert rest[top:bottom, left:right].equal(piece)  # of no earlier box
            rest[top:bottom, left:right] = 0
        assert not rest.any()


def test_each_word_s_box_shows_that_digit(corpus: CaptionedImages) -> None:
    digits = image_files.labelled()
    for part, source in ((corpus.train, digits.train), (corpus.dev, digits.dev), (corpus.test, digits.test)):
        # The ink of each known digit, all of which differ: so no digit of another part is there either.
        ink = {
            pixels[0, 7:21, 9:18].numpy().tobytes(): int(label)
            for pixels, label in zip(source.read().pixels, source.labels, strict=True)
        }
        for pixels, (caption,) in zip(part.images.read(), part.captions, strict=True):
            for place, box in (caption.gold or {}).items():
                left, top, right, bottom = map(int, box)
                found = ink[pixels[0, top:bottom, left:right].numpy().tobytes()]
                assert caption.words[place] == NUMBERS[found]


def centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def test_a_sentence_follows_from_the_image_without_doubt(corpus: CaptionedImages) -> None:
    for _, caption in of(corpus):
        boxes = boxes_of(caption)
        # The topmost comes first, then ever the nearest, by three pixels at least.
        assert all(centre(boxes[0])[1] + 3 <= centre(box)[1] for box in boxes[1:])
        for place, (one, other) in enumerate(pairwise(boxes)):
            away = [
                torch.dist(torch.tensor(centre(one)), torch.tensor(centre(box))) for box in boxes[place + 1 :]
            ]
            assert all(away[0] + 2.9999 <= more for more in away[1:])
            right, down = (there - here for here, there in zip(centre(one), centre(other), strict=True))
            assert abs(abs(right) - abs(down)) >= 3
            start = sorted(caption.gold or {})[place] + 1
            word = caption.words[start]
            if abs(down) > abs(right):
                assert word == ("above" if down > 0 else "below")
                assert one[3] <= other[1] if down > 0 else other[3] <= one[1]
            else:
                assert word == ("left" if right > 0 else "right")
                assert one[2] <= other[0] if right > 0 else other[2] <= one[0]


def test_wide_and_high_digits_lie_apart_in_the_direction_named_too() -> None:
    for height, width in ((4, 24), (24, 4)):
        pixels = torch.zeros(10, 1, 28, 28, dtype=torch.uint8)
        pixels[:, :, 2 : 2 + height, 2 : 2 + width] = 1
        layout = arrange(InMemoryImages(pixels, torch.arange(10)), 300, "key")
        for number, boxes, relation in zip(layout.number, layout.boxes, layout.relation, strict=True):
            for place in range(number - 1):
                one, other = boxes[place], boxes[place + 1]
                after, before = other[:2] - one[2:], one[:2] - other[2:]
                assert (after[1], before[1], after[0], before[0])[relation[place]] >= 0


def test_digits_beyond_a_scene_s_number_are_not_drawn() -> None:
    one = [np.array(part) for part in ([1], [[0, 1, 1, 1]], [[[0, 0], [50, 50], [50, 50], [50, 50]]])]
    layout = Layout(*one, np.zeros((1, 4, 4), np.int64), np.zeros((1, 3), np.int64))
    shown = DigitPictures(image_files.held(2), layout).read()
    assert shown[0, 0, :28, :28].equal(image_files.held(2).images[0, 0])
    assert not shown[0, 0, 28:].any()


def test_scenes_do_not_depend_on_what_they_are_read_with(corpus: CaptionedImages) -> None:
    images = corpus.train.images
    assert images.read(torch.tensor([7, 3])).equal(images.read()[[7, 3]])


def test_the_seed_decides_and_the_fingerprint_tells(corpus: CaptionedImages) -> None:
    again, other = made(), made(seed=1)
    assert again.fingerprint() == corpus.fingerprint() != other.fingerprint()
    assert again.train.images.read().equal(corpus.train.images.read())
    assert again.train.captions == corpus.train.captions != other.train.captions
    digits = image_files.labelled()
    turned = InMemoryImages(digits.train.read().pixels.flip(-1), digits.train.labels)
    changed = digits._replace(train=turned)
    assert captioned_images(changed, "scenes", sizes=SIZES).fingerprint() != corpus.fingerprint()


def test_fixed_scenes_stay_as_they_are_for_ever(corpus: CaptionedImages) -> None:
    # Written down once; figures of different versions and machines could not be compared otherwise.
    said = "\n".join(" ".join(caption.words) for _, caption in of(corpus))
    found = [
        hashlib.sha256(content).hexdigest()[:16]
        for content in (corpus.test.images.read().numpy().tobytes(), said.encode())
    ]
    assert found == WRITTEN_DOWN


WRITTEN_DOWN = ["30103eefff4a8703", "b439555bda8f55a9"]


def test_what_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    small = image_files.labelled()._replace(dev=image_files.held(5, side=24))
    with pytest.raises(ValueError, match="expected digits of 28 x 28 pixels in memory"):
        captioned_images(small, "scenes", sizes=SIZES)
    with pytest.raises(ValueError, match="and a scene at least, for dev"):
        made(sizes={**SIZES, "dev": 0})
    monkeypatch.setattr(scene_layout, "_CLOSE", 100.0)
    monkeypatch.setattr(scene_layout, "_TRIES", 3)
    with pytest.raises(ValueError, match="no scene could be arranged of 30 digits"):
        made()
