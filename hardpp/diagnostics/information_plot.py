"""Pictures of an image with what each place was expected to tell of its label, glimpse by glimpse.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, figure 2, for such maps.
Shapes: G glimpses, C cells of the grid a side.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style

_PANEL = 2.6  # inches a side
_UNSEEN = 0.25  # how much of a pixel's lightness is left where it was not seen
_COLOURS = "viridis"


def information_figure(
    pixels: NDArray[Any],
    entropies: ArrayLike,
    starts: Sequence[int],
    patch: int,
    chosen: Sequence[tuple[int, int]],
    *,
    gold: Sequence[float] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Above what was seen before each glimpse, and where it looks; below what each place was to leave open.

    All maps have one scale, in nats, so that it shows how the label becomes known.

    Args:
        pixels: (height, width, 1 or 3) uint8.
        entropies: (G, C, C) expected entropy of the label after a look at each place; NaN where nobody asked.
        starts: C first pixels of patches along a side.
        patch: their pixels a side.
        chosen: G rows and columns of the first pixels of the places that were taken.
        gold: left, top, right, bottom of the object, drawn with a broken line.
        title, note: over all: the item, and what is shown of it.

    Raises:
        UsageError: no glimpse.
        ValueError: entropies of another shape.
    """
    style.check_panels(chosen, "a figure of information")
    maps = style.check_shape(entropies, (len(chosen), len(starts), len(starts)), "glimpses, rows, columns")
    height, width = pixels.shape[:2]
    figure = Figure(figsize=(_PANEL * len(chosen) + 1.0, 2 * _PANEL + 0.8), layout="constrained")
    above, below = figure.subplots(2, len(chosen), squeeze=False)
    scale = ScalarMappable(Normalize(float(np.nanmin(maps)), float(np.nanmax(maps))), _COLOURS)
    seen = np.zeros((height, width, 1), dtype=bool)
    first, end = starts[0] + patch / 2, starts[-1] + patch / 2
    half = (end - first) / max(1, len(starts) - 1) / 2 or patch / 2  # of a cell, in pixels
    extent = (first - half, end + half, end + half, first - half)
    for g, (row, column) in enumerate(chosen):
        box = (column, row, column + patch, row + patch)
        shown = np.where(seen, pixels, (_UNSEEN * pixels).astype(np.uint8))
        for axis in (above[g], below[g]):
            style.show_image(axis, shown, width, height)
            style.draw_known_box(axis, gold)
        places = np.array([[r, c] == [row, column] for r in starts for c in starts]).reshape(maps[g].shape)
        below[g].imshow(maps[g], cmap=scale.cmap, norm=scale.norm, extent=extent, interpolation="nearest")
        below[g].set(xlim=(0, width), ylim=(height, 0))
        style.panel_title(above[g], f"glimpse {g + 1}")
        style.panel_title(below[g], f"{float(maps[g][places][0]):.2f} nats where it looks")
        for axis in (above[g], below[g]):
            style.draw_box(axis, box, edgecolor=style.ORANGE, linewidth=1.8)
        seen[row : row + patch, column : column + patch] = True
    style.colour_bar(figure, scale, list(below), "expected entropy of the label, nats")
    style.figure_title(figure, title, note)
    return figure
