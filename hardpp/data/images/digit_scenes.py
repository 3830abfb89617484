"""Translated, scaled and cluttered digits on a larger canvas, made when they are read.

    side ~ Uniform{smallest .. largest}            the digit's 28 x 28 pixels become side x side
    top, left ~ Uniform{0 .. canvas - side}        each
    P pieces of 8 x 8, each: another digit of the part ~ Uniform, cut out at a uniform place,
                             put down at a uniform place; the lightest pixel wins

Every part takes digits, and pieces of clutter, from its own digits only, one scene for each digit. Dev and
test are the same in every epoch; train may be placed anew in each ("generated on the fly" in Mnih et al.).
The gold box is the smallest that holds every pixel of the digit that is not black; clutter does not count.

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 4.1;
Ba, Grosse, Salakhutdinov and Frey (2015) for scaled digits, whose sizes they leave open: ours are 14 to 56
pixels.

Shapes: N scenes, B of them asked for, P pieces of clutter.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.labelled import ImagesWithBoxes, InMemoryImages, LabelledImages, as_indices
from hardpp.data.images.rasters import paste, resized, tight_boxes
from hardpp.data.parts import PARTS
from hardpp.data.uniforms import integers, uniforms
from hardpp.errors import DataError

PIECE = 8  # pixels a side

_VERSION = 1  # of how scenes are made; other scenes have another
_AT_ONCE = 2048  # scenes rendered together, which bounds the memory it takes


class Recipe(NamedTuple):
    """The sizes of a scene."""

    canvas: int  # pixels a side
    smallest: int = 28  # side of a digit, margin included
    largest: int = 28
    pieces: int = 0  # P


RECIPES = {
    "translated-mnist": Recipe(60),
    "translated-scaled-mnist": Recipe(100, 14, 56),
    "cluttered-mnist": Recipe(60, pieces=4),
    "cluttered-mnist-100": Recipe(100, pieces=8),
    "mnist-64": Recipe(64, pieces=4),
    "mnist-112": Recipe(112, 28, 40, pieces=8),
}


class _Layout(NamedTuple):
    side: NDArray[np.int64]  # (N,)
    spot: NDArray[np.int64]  # (N, 2) top and left of the digit
    other: NDArray[np.int64]  # (N, P) whose piece
    cut: NDArray[np.int64]  # (N, P, 2) where it is cut out
    put: NDArray[np.int64]  # (N, P, 2) where it is put


class Scenes:
    """One scene for each digit, as `hardpp.data.images.labelled.ImagePart`.

    Args:
        digits: N of them, at least two, square, of one channel, none of them all black.
        recipe: What the scenes look like.
        key: Names the draws; scenes of another key have other places.
        fresh: Whether the scenes of every epoch are placed anew.
    """

    names = None

    def __init__(self, digits: InMemoryImages, recipe: Recipe, key: str, *, fresh: bool = False):
        C, H, W = digits.size
        if C != 1 or H != W or recipe.largest > recipe.canvas:
            raise ValueError(f"expected square digits of one channel within the canvas, got {digits.size}")
        self._digits = digits.images.squeeze(1).numpy()
        blank = ~self._digits.any(axis=(1, 2))
        if blank.any():
            raise DataError(f"digit {int(blank.argmax())} is all black, and has no place")
        if len(digits) < 2:
            raise DataError(f"{len(digits)} digits are too few to make scenes of")
        self.labels, self._recipe, self._key, self._fresh = digits.labels, recipe, key, fresh
        self._content = digits.fingerprint
        self._drawn: tuple[int, _Layout] | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        return 1, self._recipe.canvas, self._recipe.canvas

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        indices = as_indices(places, len(self))
        layout = self._layout(epoch)
        canvas = np.zeros((len(indices), *self.size[1:]), np.uint8)
        boxes = np.zeros((len(indices), 4), np.int64)
        for start in range(0, len(indices), _AT_ONCE):
            chunk = slice(start, start + _AT_ONCE)
            boxes[chunk] = self._render(canvas[chunk], indices[chunk], layout)
        return ImagesWithBoxes(torch.from_numpy(canvas).unsqueeze(1), torch.from_numpy(boxes))

    def fingerprint(self) -> str:
        """SHA-256 of the digits and of all that decides the scenes."""
        return sha256_of_json([_VERSION, self._content(), self._recipe, self._key, self._fresh])

    def still(self) -> "Scenes":
        """The scenes of epoch 0, in every epoch."""
        scenes = copy(self)
        scenes._fresh, scenes._drawn = False, None
        return scenes

    def _layout(self, epoch: int) -> _Layout:
        epoch = epoch if self._fresh else 0
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(f"{self._key} epoch {epoch}")
        return self._drawn[1]

    def _draw(self, key: str) -> _Layout:
        N, n, (canvas, smallest, largest, P) = len(self), self._digits.shape[-1], self._recipe
        side = integers(uniforms(f"{key} side", N), smallest, largest)
        other = integers(uniforms(f"{key} other", N, P), 1, N - 1)
        return _Layout(
            side,
            integers(uniforms(f"{key} spot", N, 2), 0, canvas - side[:, None]),
            (np.arange(N)[:, None] + other) % N,  # never the scene's own digit
            integers(uniforms(f"{key} cut", N, P, 2), 0, n - PIECE),
            integers(uniforms(f"{key} put", N, P, 2), 0, canvas - PIECE),
        )

    def _render(
        self, canvas: NDArray[np.uint8], indices: NDArray[np.int64], layout: _Layout
    ) -> NDArray[np.int64]:
        # Draws on the canvas (B, H, W), and returns the boxes (B, 4).
        boxes = np.zeros((len(indices), 4), np.int64)
        sides = layout.side[indices]
        for side in np.unique(sides).tolist():
            rows = np.flatnonzero(sides == side)
            digits = self._digits[indices[rows]]
            if side != digits.shape[-1]:
                digits = resized(digits, side)
            top, left = layout.spot[indices[rows]].T
            drawn = np.zeros((len(rows), *canvas.shape[1:]), np.uint8)
            paste(drawn, digits, top, left)
            canvas[rows] = drawn
            boxes[rows] = tight_boxes(digits) + np.stack([left, top, left, top], axis=1)
        spans = np.arange(PIECE)
        for piece in range(layout.other.shape[1]):
            y, x = layout.cut[indices, piece].T
            source = layout.other[indices, piece]
            pixels = self._digits[
                source[:, None, None], (y[:, None] + spans)[:, :, None], (x[:, None] + spans)[:, None]
            ]
            paste(canvas, pixels, *layout.put[indices, piece].T)
        return boxes


def scenes(
    digits: LabelledImages, name: str, *, seed: int = 0, fresh: bool = True, recipe: Recipe | None = None
) -> LabelledImages:
    """Make scenes of the digits of each part.

    Args:
        digits: Images of one digit each, in memory and as `Scenes` wants them.
        name: Of the corpus; one of `RECIPES`, unless there is a recipe.
        seed: Decides every scene of every part.
        fresh: Whether train is placed anew in every epoch; dev and test never are.
        recipe: Scenes of one's own.
    """
    recipe = recipe or RECIPES[name]
    parts = {}
    for part in PARTS:
        held = getattr(digits, part)
        if not isinstance(held, InMemoryImages):
            raise ValueError(f"expected digits in memory, got {type(held).__name__}")
        key = f"scenes {_VERSION} seed {seed} {part}"
        parts[part] = Scenes(held, recipe, key, fresh=fresh and part == "train")
    return LabelledImages(name, classes=digits.classes, **parts)
