"""Pictures of an image with what is looked at of it, and how probably, laid over it.

A point of an image is seen with probability sum_s p(s) [the point lies in region s]; regions may overlap.

Shapes: S regions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from hardpp.errors import UsageError

_INK, _MARK, _GOLD, _SHADE = "#333333", "#e66101", "#2c7a2c", "#08306b"
_PANEL = 2.6  # inches a side
_ROW = 6  # panels beside each other at most

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def region_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    boxes: Sequence[tuple[float, float, float, float]],
    *,
    pixels: NDArray[Any] | None = None,
    gold: Box | list[Box | None] | None = None,
    title: str = "",
) -> Figure:
    """The image by itself, then several views of where a question looks, under one scale.

    What is never looked at is dimmed, what surely is looked at is seen as it is; the likeliest region
    has a frame, and a broken line stands around what the question is about.

    Args:
        panels: a name and weights (S) each, such as prior, guide and exact posterior.
        boxes: S regions: left, top, right, bottom in pixels.
        pixels: (height, width, 3) uint8; without them regions are drawn on a plain ground.
        gold: what the question is about, or, in a list, what each panel is about.
        title: of the figure.

    Raises:
        UsageError: nothing to draw.
        ValueError: weights of another shape than (S).
    """
    if not panels:
        raise UsageError("a figure of regions needs at least one panel")
    count = len(panels) + (pixels is not None)
    columns, rows = min(count, _ROW), -(-count // _ROW)
    figure = Figure(figsize=(_PANEL * columns + 1.0, (_PANEL + 0.4) * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    about = list(gold) if isinstance(gold, list) else [gold] * len(panels)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    extent = (right, bottom) if pixels is None else (pixels.shape[1], pixels.shape[0])
    if pixels is not None:
        _ground(axes[0], pixels, extent, "image")
    first = count - len(panels)
    for axis, (name, given), box in zip(axes[first:count], panels, about, strict=True):
        weights = np.asarray(given, dtype=float)
        if weights.shape != (len(boxes),):
            raise ValueError(f"expected weights of shape {(len(boxes),)} (regions), got {weights.shape}")
        best = int(np.nanargmax(weights))
        _ground(axis, pixels, extent, f"{name}: {weights[best]:.2f} at {best}")
        shown = seen(weights, boxes, extent)
        shade = np.tile(to_rgba(_SHADE), (*shown.shape, 1))
        shade[..., 3] = shown if pixels is None else 0.8 * (1 - shown)
        axis.imshow(shade, extent=(0, extent[0], extent[1], 0), interpolation="nearest")
        if box is not None:
            _draw(axis, box, facecolor="none", edgecolor=_GOLD, linestyle="--", linewidth=1.4)
        _draw(axis, boxes[best], facecolor="none", edgecolor=_MARK, linewidth=2.2)
    ends = [to_rgba(_SHADE, 0.8), to_rgba(_SHADE, 0.0)] if pixels is not None else ["white", _SHADE]
    scale = ScalarMappable(Normalize(0, 1), LinearSegmentedColormap.from_list("seen", ends))
    bar = figure.colorbar(scale, ax=list(axes), fraction=0.03, pad=0.02, shrink=0.8 / rows)
    bar.set_label("probability of being seen", color=_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_INK, length=2, labelsize=8)
    if title:
        figure.suptitle(title, fontsize=12, color=_INK, parse_math=False)
    return figure


def seen(
    weights: ArrayLike, boxes: Sequence[tuple[float, float, float, float]], extent: tuple[float, float]
) -> NDArray[Any]:
    """The probability that a region which is looked at shows a point, on a raster over the image.

    Args:
        weights: (S) probabilities; NaN counts as none.
        boxes: S regions.
        extent: width and height of the image.

    Returns:
        (height, width), or at most 256 rows and columns of a larger image.
    """
    counts = (min(256, max(1, round(size))) for size in extent)
    across, down = ((np.arange(n) + 0.5) * size / n for size, n in zip(extent, counts, strict=True))
    total = np.zeros((len(down), len(across)))
    for weight, (left, top, right, bottom) in zip(
        np.nan_to_num(np.asarray(weights, float)), boxes, strict=True
    ):
        inside = ((down >= top) & (down < bottom))[:, None] & ((across >= left) & (across < right))
        total += weight * inside
    return np.clip(total, 0.0, 1.0)


def _ground(axis: Axes, pixels: NDArray[Any] | None, extent: tuple[float, float], title: str) -> None:
    if pixels is not None:
        axis.imshow(pixels, extent=(0, extent[0], extent[1], 0), interpolation="nearest")
    axis.set_xlim(0, extent[0])
    axis.set_ylim(extent[1], 0)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_color("#c9d1db")
    axis.set_title(title, fontsize=10, color=_INK, parse_math=False)


def _draw(axis: Axes, box: tuple[float, float, float, float], **style: Any) -> None:
    left, top, right, bottom = box
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, **{"linewidth": 0, **style}))
