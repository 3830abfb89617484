"""Two to four real digits on a canvas of 84 x 84 pixels, and a sentence that says how they lie.

    "a three above a seven left of a one"

A sentence starts with the topmost digit and goes on to the one that is nearest to the last and has not been
named yet. So it follows from the image, though not from left to right or from top to bottom. Each relation
is between the two digits beside it, whichever of above, below, left of and right of fits. Scenes in which
that is a close call are not used: where two digits are about equally high, equally near, or lie about as much
below as beside each other. So the boxes of two neighbours are always apart in the direction named. It is "a"
eight as well, for the word before a digit must not give it away.

Each word for a digit has a gold box, the smallest that holds all of the digit's pixels that are not black.
The boxes of a scene do not overlap. Parts take digits from the respective part of MNIST only.

Shapes: N scenes, D digits of a part, 4 places for digits in a scene, of which 2 to 4 are used.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.captions.captioned import Caption, CaptionedImages, CaptionedPart
from hardpp.data.images.labelled import Held, LabelledImages, chosen
from hardpp.data.images.rasters import paste, tight_boxes
from hardpp.data.parts import PARTS
from hardpp.data.uniforms import integers, uniforms

CANVAS = 84  # pixels a side
SIZES = {"train": 20000, "dev": 1000, "test": 2000}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_VERSION = 1  # of how scenes are made; other scenes have another
_FEWEST, _MOST = 2, 4  # digits
_CLOSE = 3.0  # pixels by which what decides the sentence has to differ
_TRIES = 1000  # per scene; about one in twelve is used
_RELATIONS = (("above",), ("below",), ("left", "of"), ("right", "of"))

Places = NDArray[np.int64]


class Layout(NamedTuple):
    """Where the digits of N scenes are, in the order in which they are named."""

    number: Places  # (N,) 2 to 4, how many there are
    digit: Places  # (N, 4) which of the D
    spot: Places  # (N, 4, 2) top and left of its 28 x 28 pixels
    boxes: Places  # (N, 4, 4) left, top, right, bottom of what is not black
    relation: Places  # (N, 3) of a digit to the next one, as in `_RELATIONS`


class DigitPictures:
    """Scenes, rendered when they are asked for.

    Args:
        digits: D of them, 28 x 28.
        layout: Of N scenes.
    """

    size = (1, CANVAS, CANVAS)

    def __init__(self, digits: Held, layout: Layout):
        self._digits, self._layout = digits, layout

    def __len__(self) -> int:
        return len(self._layout.number)

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        """(B, 1, 84, 84) uint8."""
        indices = chosen(places, len(self))
        number, digit, spot, _, _ = (part[indices] for part in self._layout)
        canvas = np.zeros((len(indices), CANVAS, CANVAS), np.uint8)
        pixels = self._digits.images.squeeze(1).numpy()
        for place in range(_MOST):
            shown = (number > place)[:, None, None]
            paste(canvas, pixels[digit[:, place]] * shown, *spot[:, place].T)
        return torch.from_numpy(canvas).unsqueeze(1)

    def fingerprint(self) -> str:
        """SHA-256 of the digits and their places."""
        digest = hashlib.sha256(json.dumps([_VERSION, self._digits.fingerprint()]).encode())
        for part in self._layout:
            digest.update(np.ascontiguousarray(part, "<i8").tobytes())
        return digest.hexdigest()


def captioned(
    digits: LabelledImages, name: str, *, seed: int = 0, sizes: Mapping[str, int] = SIZES
) -> CaptionedImages:
    """Scenes of the digits of each part, with their sentences.

    Args:
        digits: Images of 28 x 28 pixels with one digit each; label n is digit n.
        name: Of the corpus.
        seed: Decides every scene.
        sizes: How many scenes "train", "dev" and "test" have.

    Raises:
        ValueError: A part's images are not `Held`, or are of another size, or a part is to have no scene.
    """
    parts = {}
    for part in PARTS:
        held = getattr(digits, part)
        if not isinstance(held, Held) or held.size != (1, 28, 28) or sizes[part] < 1:
            raise ValueError(f"expected digits of 28 x 28 pixels in memory and a scene at least, for {part}")
        layout = arranged(held, sizes[part], f"captions {_VERSION} seed {seed} {part}")
        names = [f"{part}/{number:05d}" for number in range(sizes[part])]
        parts[part] = CaptionedPart(
            names, DigitPictures(held, layout), _captions(layout, held.labels.numpy())
        )
    return CaptionedImages(name, **parts)


def arranged(digits: Held, count: int, key: str) -> Layout:
    """Scenes that can be described without doubt; each is drawn anew until it can be.

    Args:
        digits: What there is to be put down.
        count: N.
        key: Names the draws.
    """
    digit_boxes = tight_boxes(digits.images.squeeze(1).numpy())  # (D, 4)
    numbers = integers(uniforms(f"{key} count", count), _FEWEST, _MOST)
    accepted: list[tuple[Places, Layout]] = []
    pending = np.arange(count)
    for attempt in range(_TRIES):
        if not len(pending):
            break
        drawn = uniforms(f"{key} attempt {attempt}", count, _MOST, 3)[pending]
        digit = integers(drawn[:, :, 0], 0, len(digits) - 1)
        spot = integers(drawn[:, :, 1:], 0, CANVAS - 28)
        boxes = digit_boxes[digit] + spot[:, :, [1, 0, 1, 0]]
        order, relation, clear = _described(boxes, numbers[pending])
        rows = np.arange(len(pending))[:, None]
        layout = Layout(numbers[pending], digit[rows, order], spot[rows, order], boxes[rows, order], relation)
        accepted.append((pending[clear], Layout(*(part[clear] for part in layout))))
        pending = pending[~clear]
    if len(pending):
        raise ValueError(f"no scene could be arranged of {len(digits)} digits")
    back = np.argsort(np.concatenate([places for places, _ in accepted]))
    return Layout(
        *(
            np.concatenate(parts)[back]
            for parts in zip(*(part_layout for _, part_layout in accepted), strict=True)
        )
    )


def _described(boxes: Places, count: Places) -> tuple[Places, Places, NDArray[np.bool_]]:
    # The order (N, 4) in which digits are named, their relations (N, 3), and whether all is clear (N,).
    N = len(boxes)
    rows = np.arange(N)
    present = np.arange(_MOST) < count[:, None]
    clear = ~_overlap(boxes, present)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2  # (N, 4, 2) x and y
    order, relation = np.zeros((N, _MOST), np.int64), np.zeros((N, _MOST - 1), np.int64)
    named = ~present
    key = centres[..., 1]  # the topmost first
    for place in range(_MOST):
        used = place < count
        best, doubt = _least(key, named)
        clear &= ~used | ~doubt
        order[:, place] = best
        if place:
            last = order[:, place - 1]
            kind, doubt = _relation(boxes[rows, last], boxes[rows, best])
            relation[:, place - 1] = kind
            clear &= ~used | ~doubt
        named[rows, best] = True
        key = np.hypot(*np.moveaxis(centres - centres[rows, best][:, None], -1, 0))
    return order, relation, clear


def _overlap(boxes: Places, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # Whether any two of the boxes (N, 4, 4) that are there overlap or touch: (N,).
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    across = (left[:, :, None] <= right[:, None]) & (left[:, None] <= right[:, :, None])
    along = (top[:, :, None] <= bottom[:, None]) & (top[:, None] <= bottom[:, :, None])
    pairs = present[:, :, None] & present[:, None] & np.tri(_MOST, k=-1, dtype=bool)
    return (across & along & pairs).any(axis=(1, 2))


def _least(key: NDArray[np.float64], left_out: NDArray[np.bool_]) -> tuple[Places, NDArray[np.bool_]]:
    # Which has the least key, and whether another one comes close.
    masked = np.where(left_out, np.inf, key)
    first, second = np.partition(masked, 1, axis=1)[:, :2].T
    with np.errstate(invalid="ignore"):  # nobody is left: infinity less infinity
        return masked.argmin(axis=1), second - first < _CLOSE


def _relation(first: Places, second: Places) -> tuple[Places, NDArray[np.bool_]]:
    # Which of `_RELATIONS` the first box (N, 4) has to the second, and whether that is in doubt.
    right, down = ((second[:, :2] + second[:, 2:] - first[:, :2] - first[:, 2:]) / 2).T
    vertical = abs(down) > abs(right)
    kind = np.where(vertical, np.where(down > 0, 0, 1), np.where(right > 0, 2, 3))
    gaps = np.stack(
        [
            second[:, 1] - first[:, 3],
            first[:, 1] - second[:, 3],
            second[:, 0] - first[:, 2],
            first[:, 0] - second[:, 2],
        ]
    )
    apart = gaps[kind, np.arange(len(kind))] >= 0
    return kind, ~apart | (abs(abs(down) - abs(right)) < _CLOSE)


def _captions(layout: Layout, labels: Places) -> list[tuple[Caption, ...]]:
    captions: list[tuple[Caption, ...]] = []
    digits, boxes = labels[layout.digit].tolist(), layout.boxes.tolist()
    relations = layout.relation.tolist()
    for row, count in enumerate(layout.number.tolist()):
        words: list[str] = []
        gold = {}
        for place in range(count):
            if place:
                words += _RELATIONS[relations[row][place - 1]]
            words += ["a", NUMBERS[digits[row][place]]]
            left, top, right, bottom = map(float, boxes[row][place])
            gold[len(words) - 1] = (left, top, right, bottom)
        captions.append((Caption(tuple(words), gold),))
    return captions
