"""Places for texts in a figure where they do not lie on one another.

Shapes: N texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DIRECTIONS = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])
_RINGS = (0.25, 0.4)  # how far from the middle of a window, in sides of it


def free_places(centres: ArrayLike, sides: ArrayLike, gap: float) -> NDArray[np.float64]:
    """A place (N, 2) in each window, the middle if it is free, at least `gap` from those before if one is.

    Where none is, it is the farthest from all of them.

    Args:
        centres: (N, 2) of the windows.
        sides: (N,) lengths of their sides, or of what may be used of them.
        gap: between two places.
    """
    places = np.empty((0, 2))
    for centre, side in zip(np.asarray(centres, float), np.asarray(sides, float), strict=True):
        around = [centre, *(centre + ring * side * way for ring in _RINGS for way in _DIRECTIONS)]
        nearest = [np.linalg.norm(places - place, axis=-1).min(initial=np.inf) for place in around]
        free = [place for place, distance in zip(around, nearest, strict=True) if distance >= gap]
        chosen = free[0] if free else around[int(np.argmax(nearest))]
        places = np.vstack([places, chosen])
    return places


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1 moved as little as can be so that no two are nearer than `gap`, in the same order.

    More than fit between 0 and 1 go on above.
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    # With so many gaps taken away they only have not to fall: the mean of each run that would.
    runs: list[tuple[float, int]] = []
    for place, number in enumerate(order):
        mean, size = heights[number] - gap * place, 1
        while runs and runs[-1][0] > mean:
            before, count = runs.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        runs.append((mean, size))
    level = np.clip([mean for mean, size in runs for _ in range(size)], 0, max(0, 1 - gap * (len(order) - 1)))
    moved = dict(zip(order, level + gap * np.arange(len(order)), strict=True))
    return [float(moved[number]) for number in range(len(heights))]
