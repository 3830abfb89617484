"""Pictures of an image with the attention to its regions laid over it.

A point of an image is seen with probability sum_s p(s) [the point lies in region s]; regions may overlap.

Shapes: S regions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style

_SHADE = "#08306b"
_PANEL = 2.6  # inches a side
_COLUMNS = 6  # panels beside each other at most


def region_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    boxes: Sequence[style.Box],
    *,
    pixels: NDArray[Any] | None = None,
    gold: style.Box | list[style.Box | None] | None = None,
    title: str = "",
) -> Figure:
    """The image by itself, then several views of the attention to its regions, under one scale.

    Regions without attention are dimmed, those with all of it are shown as they are. The likeliest region has
    a frame, and a broken line stands around the region that the data say is right.

    Args:
        panels: a name and probabilities (S) each, such as prior, guide and exact posterior.
        boxes: S regions: left, top, right, bottom in pixels.
        pixels: (height, width, 1 or 3) uint8; without them regions are drawn on a plain ground.
        gold: the right region, or, in a list, that of each panel.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (S).
    """
    style.check_panels(panels, "a figure of regions")
    first = int(pixels is not None)
    count = len(panels) + first
    columns, rows = min(count, _COLUMNS), -(-count // _COLUMNS)
    figure = Figure(figsize=(_PANEL * columns + 1.0, (_PANEL + 0.4) * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    width, height = (max(box[2] for box in boxes), max(box[3] for box in boxes))
    if pixels is not None:
        height, width = pixels.shape[:2]
        style.show_image(axes[0], pixels, width, height)
        style.panel_title(axes[0], "image")
    known = gold if isinstance(gold, list) else [gold] * len(panels)
    for axis, (name, probabilities), known_box in zip(axes[first:count], panels, known, strict=True):
        values = style.check_shape(probabilities, (len(boxes),), "regions")
        best = int(np.nanargmax(values))
        style.show_image(axis, pixels, width, height)
        style.panel_title(axis, f"{name}: {values[best]:.2f} at {best}")
        seen = visibility(values, boxes, width, height)
        shade = np.tile(to_rgba(_SHADE), (*seen.shape, 1))
        shade[..., 3] = seen if pixels is None else 0.8 * (1 - seen)
        axis.imshow(shade, extent=(0, width, height, 0), interpolation="nearest")
        style.draw_known_box(axis, known_box)
        style.draw_box(axis, boxes[best], edgecolor=style.ORANGE, linewidth=2.2)
    ends = [to_rgba(_SHADE, 0.8), to_rgba(_SHADE, 0.0)] if pixels is not None else ["white", _SHADE]
    scale = ScalarMappable(Normalize(0, 1), LinearSegmentedColormap.from_list("seen", ends))
    style.colour_bar(figure, scale, list(axes), "probability of being seen", shrink=0.8 / rows)
    style.figure_title(figure, title)
    return figure


def visibility(
    probabilities: ArrayLike, boxes: Sequence[style.Box], width: float, height: float
) -> NDArray[np.float64]:
    """The probability that a point is in the region which is attended to, on a raster over the image.

    It is of probabilities (S), of which NaN counts as none, and has a cell for every pixel: (height, width),
    or at most 256 rows and columns of a larger image.
    """
    counts = (min(256, max(1, round(size))) for size in (width, height))
    across, down = ((np.arange(n) + 0.5) * size / n for size, n in zip((width, height), counts, strict=True))
    total = np.zeros((len(down), len(across)))
    values = np.nan_to_num(np.asarray(probabilities, float))
    for probability, (left, top, right, bottom) in zip(values, boxes, strict=True):
        inside = ((down >= top) & (down < bottom))[:, None] & ((across >= left) & (across < right))
        total += probability * inside
    return np.clip(total, 0.0, 1.0)
