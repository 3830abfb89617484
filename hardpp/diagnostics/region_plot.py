"""Pictures of an image with the attention to its regions laid over it.

A point of an image is seen with probability sum_s p(s) [the point lies in region s]; regions may overlap.

Shapes: S regions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style

_COLOURS = "viridis"
_COVER = 0.6  # how much of a point's colour says how probable it is; the rest is the image, in grey
_PANEL = 2.6  # inches a side
_COLUMNS = 6  # panels beside each other at most


def region_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    boxes: Sequence[style.Box],
    *,
    pixels: NDArray[Any] | None = None,
    gold: style.Box | list[style.Box | None] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """The image by itself, then several views of the attention to its regions, under one scale.

    The scale ends at the largest probability of all panels and is one of square roots, so that a weak
    attention is seen beside a strong one. The likeliest region has a frame, and a broken line stands around
    the region that the data say is right.

    Args:
        panels: a name and probabilities (S) each, such as prior, guide and exact posterior.
        boxes: S regions: left, top, right, bottom in pixels.
        pixels: (height, width, 1 or 3) uint8; without them regions are drawn on a plain ground.
        gold: the right region, or, in a list, that of each panel.
        title, note: over all: the item, and what is shown of it.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (S).
    """
    style.check_panels(panels, "a figure of regions")
    first = int(pixels is not None)
    count = len(panels) + first
    columns, rows = min(count, _COLUMNS), -(-count // _COLUMNS)
    figure = Figure(figsize=(_PANEL * columns + 1.0, (_PANEL + 0.4) * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    width, height = (max(box[2] for box in boxes), max(box[3] for box in boxes))
    if pixels is not None:
        height, width = pixels.shape[:2]
        style.show_image(axes[0], pixels, width, height)
        style.panel_title(axes[0], "image")
    known = gold if isinstance(gold, list) else [gold] * len(panels)
    drawn = [style.check_shape(values, (len(boxes),), "regions") for _, values in panels]
    seen = [visibility(values, boxes, width, height) for values in drawn]
    most = max(float(each.max()) for each in seen)
    scale = ScalarMappable(style.probability_scale(most), _COLOURS)
    parts = zip(axes[first:count], panels, drawn, seen, known, strict=True)
    for axis, (name, _), values, shade, known_box in parts:
        best = int(np.nanargmax(values))
        style.panel_title(axis, f"{name}\n{_number(values[best])} at region {best}")
        _draw_attention(axis, pixels, scale.to_rgba(shade), width, height)
        style.draw_known_box(axis, known_box)
        rim: dict[str, Any] = {"path_effects": style.outline(3.6)}
        style.draw_box(axis, boxes[best], edgecolor=style.ORANGE, linewidth=2.0, **rim)
    style.colour_bar(figure, scale, list(axes), "probability of being seen", shrink=0.9 / rows)
    marks: list[Artist] = [Line2D([], [], color=style.ORANGE, linewidth=2.0, label="the likeliest region")]
    if any(box is not None for box in known):
        marks.append(style.known_mark("where the data say that the answer lies"))
    style.legend(figure, marks)
    style.figure_title(figure, title, note)
    return figure


def _draw_attention(
    axis: Axes, pixels: NDArray[Any] | None, colours: NDArray[Any], width: float, height: float
) -> None:
    if pixels is not None:
        grey = pixels.mean(-1, keepdims=True)
        style.show_image(axis, 64 + grey * 0.75, width, height)
        colours[..., 3] = _COVER
    axis.imshow(colours, extent=(0, width, height, 0), interpolation="nearest")
    axis.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_color(style.PALE)


# Two digits that mean something, however small the number is.
def _number(value: float) -> str:
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


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
