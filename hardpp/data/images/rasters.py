"""Resize small grey pictures, paste them on a canvas, and find their bounding boxes.

A picture of side n becomes one of side s by W X W^T, where row i of W (s x n) is a triangle around the centre
of pixel i, as wide as the coarser of the two grids, in whole 256ths that sum to 256. All numbers on the way
are integers below 2^24, so float32 holds them exactly and every machine gives the same pixels.

Shapes: B pictures, n and s their sides, H x W the canvas.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Places = NDArray[np.int64]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels, the last two exclusive

_WHOLE = 256  # what a row of weights sums to


def resized(pictures: Pixels, side: int) -> Pixels:
    """Resize square pictures (B, n, n) to (B, side, side)."""
    weights = _weights(pictures.shape[-1], side)
    exact = weights @ pictures.astype(np.float32) @ weights.T
    return ((exact + _WHOLE**2 // 2) // _WHOLE**2).astype(np.uint8)


def paste(canvas: Pixels, pictures: Pixels, top: Places, left: Places) -> None:
    """Paste each picture (B, h, w) on its canvas (B, H, W), in place; the lighter pixel wins.

    They begin at the rows `top` (B,) and columns `left` (B,); an IndexError if one reaches over the border.
    """
    windows = sliding_window_view(canvas, pictures.shape[1:], axis=(1, 2), writeable=True)
    where = (np.arange(len(canvas)), top, left)
    windows[where] = np.maximum(windows[where], pictures)


def tight_boxes(pictures: Pixels) -> Places:
    """The smallest boxes (B, 4) that hold every pixel (B, h, w) that is not 0: left, top, right, bottom.

    Right and bottom are exclusive. A picture without such a pixel has the box 0, 0, 0, 0.
    """
    h, w = pictures.shape[1:]
    light = pictures > 0
    rows, columns = np.logical_or.reduce(light, axis=2), np.logical_or.reduce(light, axis=1)
    first = [columns.argmax(1), rows.argmax(1)]
    end = [w - columns[:, ::-1].argmax(1), h - rows[:, ::-1].argmax(1)]
    return np.stack([*first, *end], axis=1) * np.logical_or.reduce(rows, axis=1)[:, None]


def _weights(old: int, new: int) -> NDArray[np.float32]:
    # (new, old) whole numbers, rows of which sum to _WHOLE.
    step = old / new
    centres = (np.arange(new) + 0.5) * step - 0.5
    weights = np.maximum(0.0, 1 - abs(np.arange(old) - centres[:, None]) / max(step, 1.0))
    whole = np.rint(weights * _WHOLE / weights.sum(1, keepdims=True))
    whole[np.arange(new), whole.argmax(1)] += _WHOLE - whole.sum(1)  # what rounding left over
    return whole.astype(np.float32)
