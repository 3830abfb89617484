"""Pictures of an image with the weight of each of its regions laid over it.

Shapes: S regions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from hardpp.errors import UsageError

_INK, _MARK, _GOLD = "#333333", "#e66101", "#2c7a2c"
_PANEL = 2.6  # inches a side


def region_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    boxes: Sequence[tuple[float, float, float, float]],
    *,
    pixels: NDArray[Any] | None = None,
    gold: tuple[float, float, float, float] | None = None,
    title: str = "",
) -> Figure:
    """The image by itself, then several views of where a question looks, under one scale.

    A region that is not looked at is dimmed, one that is looked at alone is seen as it is; the likeliest
    has a frame, and a broken line stands around what the question is about.

    Args:
        panels: a name and weights (S) each, such as prior, guide and exact posterior.
        boxes: S regions: left, top, right, bottom in pixels.
        pixels: (height, width, 3) uint8; without them regions are drawn on a plain ground.
        gold: what the question is about.
        title: of the figure.

    Raises:
        UsageError: nothing to draw.
        ValueError: weights of another shape than (S).
    """
    if not panels:
        raise UsageError("a figure of regions needs at least one panel")
    count = len(panels) + (pixels is not None)
    figure = Figure(figsize=(_PANEL * count + 1.0, _PANEL + 0.9), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    extent = (right, bottom) if pixels is None else (pixels.shape[1], pixels.shape[0])
    if pixels is not None:
        _ground(axes[0], pixels, extent, "image")
    for axis, (name, given) in zip(axes[count - len(panels) :], panels, strict=True):
        weights = np.asarray(given, dtype=float)
        if weights.shape != (len(boxes),):
            raise ValueError(f"expected weights of shape {(len(boxes),)} (regions), got {weights.shape}")
        best = int(np.nanargmax(weights))
        _ground(axis, pixels, extent, f"{name}: {weights[best]:.2f} at {best}")
        for box, weight in sorted(zip(boxes, weights, strict=True), key=lambda one: one[1]):
            _draw(axis, box, facecolor="#08306b", alpha=0.75 * (1 - weight) if pixels is not None else weight)
        if gold is not None:
            _draw(axis, gold, facecolor="none", edgecolor=_GOLD, linestyle="--", linewidth=1.4)
        _draw(axis, boxes[best], facecolor="none", edgecolor=_MARK, linewidth=2.2)
    scale = ScalarMappable(Normalize(0, 1), "Blues_r" if pixels is not None else "Blues")
    bar = figure.colorbar(scale, ax=list(axes), fraction=0.03, pad=0.02, shrink=0.8)
    bar.set_label("probability", color=_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_INK, length=2, labelsize=8)
    if title:
        figure.suptitle(title, fontsize=12, color=_INK, parse_math=False)
    return figure


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
