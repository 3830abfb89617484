"""Pictures of an image with the glimpses over it, in their order, and of the label that each suggests.

Shapes: G glimpses, L windows of a glimpse, V labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style

_OTHER = "#b8c4d2"  # labels that are wrong
_MOST_LABELS = 10


def glimpse_figure(
    pixels: NDArray[Any],
    corners: ArrayLike,
    sides: ArrayLike,
    predicted: ArrayLike,
    classes: Sequence[str],
    *,
    label: int,
    gold: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """On the left the image with windows numbered in order, on the right the label after each glimpse.

    Args:
        pixels: (height, width, C) uint8, C one or three.
        corners: (G, L, 2) rows and columns of the windows' top left pixels.
        sides: (G, L) pixels a side.
        predicted: (G, V) probabilities of labels after each glimpse; other shapes are a ValueError.
        classes, label: V names, and which is right.
        gold: left, top, right, bottom of the object, drawn with a broken line.
    """
    corner, side = np.asarray(corners), np.asarray(sides)
    probabilities = style.check_shape(predicted, (len(corner), len(classes)), "glimpses, labels")
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    style.show_image(left, pixels, pixels.shape[1], pixels.shape[0])
    _draw_windows(left, corner, side)
    style.draw_known_box(left, gold)
    _draw_labels(right, probabilities, classes, label)
    style.figure_title(figure, f"{title} \N{EM DASH} {classes[label]}" if title else classes[label])
    return figure


def _draw_windows(axis: Axes, corners: NDArray[Any], sides: NDArray[Any]) -> None:
    colours = colormaps["plasma"](np.linspace(0.3, 0.95, len(corners)))
    for number, (corner, side, colour) in enumerate(zip(corners, sides, colours, strict=True), start=1):
        for window, ((top, left), width) in enumerate(zip(corner, side, strict=True)):
            line: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.6} if window else {"linewidth": 1.8}
            style.draw_box(axis, (left, top, left + width, top + width), edgecolor=colour, **line)
        y, x = corner[0] + side[0] / 2
        text = axis.text(x, y, str(number), color=colour, ha="center", va="center", fontsize=10)
        text.set_path_effects([withStroke(linewidth=2.2, foreground="black")])


def _draw_labels(axis: Axes, probabilities: NDArray[Any], classes: Sequence[str], label: int) -> None:
    steps = range(1, len(probabilities) + 1)
    for number in sorted({*np.argsort(-probabilities.max(0))[:_MOST_LABELS].tolist(), label}):
        values, right = probabilities[:, number], number == label
        colour, width, zorder = (style.GREEN, 2.2, 3) if right else (_OTHER, 1.2, 2)
        axis.plot(steps, values, color=colour, linewidth=width, zorder=zorder)
        if right or values[-1] > 0.05 or values.max() > 0.3:
            best = int(values.argmax())
            place = (best + 1, values[best])
            axis.annotate(classes[number], place, color=style.INK, fontsize=9, parse_math=False)
    axis.set(ylim=(-0.02, 1.06), xticks=steps)
    axis.set_xlabel("glimpse", color=style.INK)
    axis.set_ylabel("probability of the label", color=style.INK)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(colors=style.INK, labelsize=9)
