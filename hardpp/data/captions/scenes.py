"""Two to four real digits on a canvas of 84 x 84 pixels, and a sentence that says how they lie.

    "a three above a seven left of a one"

Where the digits lie, and in which order they are named, is decided in `hardpp.data.captions.scene_layout`. It
is "a" eight as well, for the word before a digit must not give it away. Each word for a digit has a gold box,
the smallest that holds all of the digit's pixels that are not black. Parts take digits from the respective
part of MNIST only.

Shapes: N scenes, D digits of a part, 4 places for digits in a scene, of which 2 to 4 are used.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from hardpp.data.captions.captioned import Caption, CaptionedImages, CaptionedPart
from hardpp.data.captions.scene_layout import CANVAS, MOST, RELATIONS, Layout, arrange
from hardpp.data.images.labelled import InMemoryImages, LabelledImages, as_indices
from hardpp.data.images.rasters import Places, paste
from hardpp.data.parts import PARTS

SIZES = {"train": 20000, "dev": 1000, "test": 2000}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_VERSION = 1  # of how scenes are made; other scenes have another


class DigitPictures:
    """Pictures of N scenes of D digits of 28 x 28 pixels, rendered when they are read."""

    size = (1, CANVAS, CANVAS)

    def __init__(self, digits: InMemoryImages, layout: Layout):
        self._digits, self._layout = digits, layout

    def __len__(self) -> int:
        return len(self._layout.number)

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        indices = as_indices(places, len(self))
        number, digit, spot, _, _ = (part[indices] for part in self._layout)
        canvas = np.zeros((len(indices), CANVAS, CANVAS), np.uint8)
        pixels = self._digits.images.squeeze(1).numpy()
        for place in range(MOST):
            visible = (number > place)[:, None, None]
            paste(canvas, pixels[digit[:, place]] * visible, *spot[:, place].T)
        return torch.from_numpy(canvas).unsqueeze(1)

    def fingerprint(self) -> str:
        """SHA-256 of the digits and their places."""
        digest = hashlib.sha256(json.dumps([_VERSION, self._digits.fingerprint()]).encode())
        for part in self._layout:
            digest.update(np.ascontiguousarray(part, "<i8").tobytes())
        return digest.hexdigest()


def captioned_images(
    digits: LabelledImages, name: str, *, seed: int = 0, sizes: Mapping[str, int] = SIZES
) -> CaptionedImages:
    """Make scenes of the digits of each part, with their sentences.

    Args:
        digits: Images of 28 x 28 pixels, in memory, with one digit each; label n is digit n.
        name: Of the corpus.
        seed: Decides every scene.
        sizes: How many scenes "train", "dev" and "test" have, at least one each.
    """
    parts = {}
    for part in PARTS:
        held = getattr(digits, part)
        if not isinstance(held, InMemoryImages) or held.size != (1, 28, 28) or sizes[part] < 1:
            raise ValueError(f"expected digits of 28 x 28 pixels in memory and a scene at least, for {part}")
        layout = arrange(held, sizes[part], f"captions {_VERSION} seed {seed} {part}")
        names = [f"{part}/{number:05d}" for number in range(sizes[part])]
        captions = _captions(layout, held.labels.numpy())
        parts[part] = CaptionedPart(names, DigitPictures(held, layout), captions)
    return CaptionedImages(name, **parts)


def _captions(layout: Layout, labels: Places) -> list[tuple[Caption, ...]]:
    captions: list[tuple[Caption, ...]] = []
    digits, boxes = labels[layout.digit].tolist(), layout.boxes.tolist()
    relations = layout.relation.tolist()
    for row, count in enumerate(layout.number.tolist()):
        words: list[str] = []
        gold = {}
        for place in range(count):
            if place:
                words += RELATIONS[relations[row][place - 1]]
            words += ["a", NUMBERS[digits[row][place]]]
            left, top, right, bottom = map(float, boxes[row][place])
            gold[len(words) - 1] = (left, top, right, bottom)
        captions.append((Caption(tuple(words), gold),))
    return captions
