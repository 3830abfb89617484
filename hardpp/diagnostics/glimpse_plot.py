"""Pictures of an image with the glimpses over it, in their order, and of the label that each suggests.

Shapes: G glimpses, L windows of a glimpse, V labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style
from hardpp.diagnostics.text_places import apart, free_places

_OTHER = "#b8c4d2"  # labels that are wrong
_UNSEEN = 0xE4  # grey, of pixels that nothing is classified from
_MOST_LABELS, _MOST_NAMES = 10, 5
_LONGEST = 16  # letters of a label's name
_GAP = 0.1  # between the numbers of two glimpses, a share of the image's width
_ROOM = 0.45  # for names beside the curves, a share of their width


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
    seen: NDArray[np.bool_] | None = None,
    shown: int | None = None,
) -> Figure:
    """On the left the image with windows numbered in order, on the right the label after each glimpse.

    Args:
        pixels: (height, width, C) uint8, C one or three.
        corners: (G, L, 2) rows and columns of the windows' top left pixels.
        sides: (G, L) pixels a side.
        predicted: (G, V) probabilities of labels after each glimpse; other shapes are a ValueError.
        classes, label: V names, and which is right.
        gold: left, top, right, bottom of the object, drawn with a broken line.
        title: over all.
        seen: (G, height, width), the pixels that the label is said from after each glimpse; they are drawn
            between the two, with all others left out.
        shown: only the first so many glimpses, in a figure of the same size; left out, all.
    """
    corner, side = np.asarray(corners), np.asarray(sides)
    probabilities = style.check_shape(predicted, (len(corner), len(classes)), "glimpses, labels")
    shown = len(corner) if shown is None else shown
    figure = Figure(figsize=(8.4, 4.2) if seen is None else (12.0, 4.2), layout="constrained")
    left, *middle, right = figure.subplots(1, 2 if seen is None else 3)
    style.show_image(left, pixels, pixels.shape[1], pixels.shape[0])
    _draw_windows(left, corner, side, shown)
    style.draw_known_box(left, gold)
    if seen is not None:
        inside = seen[shown - 1]
        style.panel_title(left, "where it looks")
        style.panel_title(middle[0], f"what it classifies, {inside.mean():.0%} of the pixels")
        classified = np.where(inside[..., None], pixels, _UNSEEN).astype(np.uint8)
        style.show_image(middle[0], classified, pixels.shape[1], pixels.shape[0])
    _draw_labels(right, probabilities, classes, label, shown)
    style.figure_title(figure, f"{title} \N{EM DASH} {classes[label]}" if title else classes[label])
    return figure


def _draw_windows(axis: Axes, corners: NDArray[Any], sides: NDArray[Any], shown: int) -> None:
    colours = colormaps["plasma"](np.linspace(0.3, 0.95, len(corners)))
    centres = corners[:, 0] + sides[:, :1] / 2
    width = axis.get_xlim()[1]
    places = free_places(centres, sides[:, 0], _GAP * width)
    for g in range(shown):
        for window, ((top, left), length) in enumerate(zip(corners[g], sides[g], strict=True)):
            line: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.6} if window else {"linewidth": 1.8}
            style.draw_box(axis, (left, top, left + length, top + length), edgecolor=colours[g], **line)
    for g, (y, x) in enumerate(places[:shown]):  # over all windows
        disc = {"boxstyle": "circle,pad=0.2", "facecolor": colours[g], "edgecolor": "black", "linewidth": 0.6}
        ink = "black" if colours[g][:3].mean() > 0.45 else "white"
        axis.text(x, y, str(g + 1), color=ink, ha="center", va="center", fontsize=9, bbox=disc)


def _draw_labels(
    axis: Axes, probabilities: NDArray[Any], classes: Sequence[str], label: int, shown: int
) -> None:
    steps = range(1, len(probabilities) + 1)
    drawn = sorted({*np.argsort(-probabilities.max(0))[:_MOST_LABELS].tolist(), label})
    last = probabilities[shown - 1]
    likeliest = np.argsort(-last)[:_MOST_NAMES].tolist()
    named = [number for number in drawn if number == label or (number in likeliest and last[number] > 0.05)]
    for number in drawn:
        right = number == label
        colour, width, zorder = (style.GREEN, 2.2, 3) if right else (_OTHER, 1.2, 2)
        values = probabilities[:shown, number]
        axis.plot(steps[:shown], values, color=colour, linewidth=width, zorder=zorder, marker=".")
    heights = apart([float(last[number]) for number in named], 0.06)
    across = max(1, len(probabilities) - 1)
    for number, height in zip(named, heights, strict=True):
        name = classes[number]
        name = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
        colour = style.GREEN if number == label else style.INK
        place = (shown + 0.05 * across, height)
        axis.annotate(name, place, color=colour, fontsize=9, va="center", parse_math=False)
    axis.set(xlim=(1 - 0.05 * across, 1 + (1 + _ROOM) * across), ylim=(-0.02, 1.06), xticks=steps)
    axis.set_xlabel("glimpse", color=style.INK)
    axis.set_ylabel("probability of the label", color=style.INK)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(colors=style.INK, labelsize=9)
