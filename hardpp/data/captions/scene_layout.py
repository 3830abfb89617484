"""Where the digits of a scene lie, so that one sentence describes it without doubt.

A sentence starts with the topmost digit and goes on to the one that is nearest to the last and has not been
named yet. So it follows from the image, though not from left to right or from top to bottom. Each relation
is between the two digits beside it, whichever of above, below, left of and right of fits. Scenes in which
that is a close call are not used: where two digits are about equally high, equally near, or lie about as much
below as beside each other. So the boxes of two neighbours are always apart in the direction named. The boxes
of a scene do not overlap.

Shapes: N scenes, D digits of a part, 4 places for digits in a scene, of which 2 to 4 are used.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardpp.data.images.labelled import InMemoryImages
from hardpp.data.images.rasters import Places, tight_boxes
from hardpp.data.uniforms import integers, uniforms

CANVAS = 84  # pixels a side
MOST = 4  # digits a scene
RELATIONS = (("above",), ("below",), ("left", "of"), ("right", "of"))

_FEWEST = 2
_CLOSE = 3.0  # pixels by which what decides the sentence has to differ
_TRIES = 1000  # per scene; about one in twelve is used


class Layout(NamedTuple):
    """The places of the digits of N scenes, in the order in which the sentence names them."""

    number: Places  # (N,) 2 to 4, how many there are
    digit: Places  # (N, 4) which of the D
    spot: Places  # (N, 4, 2) top and left of its 28 x 28 pixels
    boxes: Places  # (N, 4, 4) left, top, right, bottom of what is not black
    relation: Places  # (N, 3) of a digit to the next one, as in `RELATIONS`


def arrange(digits: InMemoryImages, count: int, key: str) -> Layout:
    """Draw N = `count` scenes of these digits, each anew until it can be described without doubt.

    Scenes of another key are others.
    """
    digit_boxes = tight_boxes(digits.images.squeeze(1).numpy())  # (D, 4)
    numbers = integers(uniforms(f"{key} count", count), _FEWEST, MOST)
    accepted: list[tuple[Places, Layout]] = []
    pending = np.arange(count)
    for attempt in range(_TRIES):
        if not len(pending):
            break
        drawn = uniforms(f"{key} attempt {attempt}", count, MOST, 3)[pending]
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
    places, layouts = zip(*accepted, strict=True)
    back = np.argsort(np.concatenate(places))
    return Layout(*(np.concatenate(parts)[back] for parts in zip(*layouts, strict=True)))


def _described(boxes: Places, count: Places) -> tuple[Places, Places, NDArray[np.bool_]]:
    # The order (N, 4) in which digits are named, their relations (N, 3), and whether all is clear (N,).
    N = len(boxes)
    rows = np.arange(N)
    present = np.arange(MOST) < count[:, None]
    clear = ~_overlap(boxes, present)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2  # (N, 4, 2) x and y
    order, relation = np.zeros((N, MOST), np.int64), np.zeros((N, MOST - 1), np.int64)
    named = ~present
    key = centres[..., 1]  # the topmost first
    for place in range(MOST):
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
    pairs = present[:, :, None] & present[:, None] & np.tri(MOST, k=-1, dtype=bool)
    return (across & along & pairs).any(axis=(1, 2))


def _least(key: NDArray[np.float64], left_out: NDArray[np.bool_]) -> tuple[Places, NDArray[np.bool_]]:
    # Which has the least key, and whether another one comes close.
    masked = np.where(left_out, np.inf, key)
    first, second = np.partition(masked, 1, axis=1)[:, :2].T
    with np.errstate(invalid="ignore"):  # nobody is left: infinity less infinity
        return masked.argmin(axis=1), second - first < _CLOSE


def _relation(first: Places, second: Places) -> tuple[Places, NDArray[np.bool_]]:
    # Which of `RELATIONS` the first box (N, 4) has to the second, and whether that is in doubt.
    right, down = ((second[:, :2] + second[:, 2:] - first[:, :2] - first[:, 2:]) / 2).T
    vertical = abs(down) > abs(right)
    kind = np.where(vertical, np.where(down > 0, 0, 1), np.where(right > 0, 2, 3))
    below, above = second[:, 1] - first[:, 3], first[:, 1] - second[:, 3]
    right_of, left_of = second[:, 0] - first[:, 2], first[:, 0] - second[:, 2]
    gaps = np.stack([below, above, right_of, left_of])
    apart = gaps[kind, np.arange(len(kind))] >= 0
    return kind, ~apart | (abs(abs(down) - abs(right)) < _CLOSE)
