"""Pictures of an image with the glimpses over it, in their order, and of the label that each suggests.

Shapes: G glimpses, L windows of a glimpse, V labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style
from hardpp.diagnostics.text_places import apart, free_places

_OTHER = "#b8c4d2"  # labels that are wrong
_UNSEEN = 0xE4  # grey, of pixels that nothing is classified from
_LINES = ("-", "--", ":")  # of a glimpse's windows, the finest first; more have the last
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
    note: str = "",
    seen: NDArray[np.bool_] | None = None,
    shown: int | None = None,
) -> Figure:
    """On the left the image with windows numbered in order, on the right the label after each glimpse.

    Windows are as large as what they see. Glimpses have colours that people tell apart whatever colours
    they see, and arrows go from each to the next.

    Args:
        pixels: (height, width, C) uint8, C one or three.
        corners: (G, L, 2) rows and columns of the windows' top left pixels.
        sides: (G, L) pixels a side, the finest window first.
        predicted: (G, V) probabilities of labels after each glimpse; other shapes are a ValueError.
        classes, label: V names, and which is right.
        gold: left, top, right, bottom of the object, drawn with a broken line.
        title, note: over all: the image, and what is shown of it.
        seen: (G, height, width), the pixels that the label is said from after each glimpse; they are drawn
            between the two, with all others left out.
        shown: only the first so many glimpses, in a figure of the same size; left out, all.
    """
    corner, side = np.asarray(corners), np.asarray(sides)
    probabilities = style.check_shape(predicted, (len(corner), len(classes)), "glimpses, labels")
    shown = len(corner) if shown is None else shown
    figure = Figure(figsize=(8.8, 4.9) if seen is None else (12.6, 4.9), layout="constrained")
    left, *middle, right = figure.subplots(1, 2 if seen is None else 3)
    style.show_image(left, pixels, pixels.shape[1], pixels.shape[0])
    style.panel_title(left, "where it looks")
    _draw_windows(left, corner, side, shown)
    style.draw_known_box(left, gold)
    if seen is not None:
        inside = seen[shown - 1]
        style.panel_title(middle[0], f"what it classifies, {inside.mean():.0%} of the pixels")
        classified = np.where(inside[..., None], pixels, _UNSEEN).astype(np.uint8)
        style.show_image(middle[0], classified, pixels.shape[1], pixels.shape[0])
    style.panel_title(right, "what it takes it for")
    _draw_labels(right, probabilities, classes, label, shown)
    style.legend(figure, _marks(side, gold is not None))
    style.figure_title(figure, f"{title} \N{EM DASH} {classes[label]}" if title else classes[label], note)
    return figure


def _draw_windows(axis: Axes, corners: NDArray[Any], sides: NDArray[Any], shown: int) -> None:
    colours = style.distinct_colours(len(corners))
    centres = corners[:, 0] + sides[:, :1] / 2
    width = axis.get_xlim()[1]
    places = free_places(centres, sides[:, 0], _GAP * width)
    for g in range(shown):
        for window, ((top, left), length) in reversed([*enumerate(zip(corners[g], sides[g], strict=True))]):
            wide = 1.1 if window else 2.0
            line: dict[str, Any] = {"linewidth": wide, "linestyle": _LINES[min(window, len(_LINES) - 1)]}
            # Dark around colours, which are light: seen on black, on white and on what lies between.
            rim = style.outline(wide + 1.4, "#222222")
            box = (left, top, left + length, top + length)
            style.draw_box(axis, box, edgecolor=colours[g], path_effects=rim, **line)
    for (y, x), (then_y, then_x), colour in zip(places, places[1:shown], colours[1:], strict=False):
        arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "mutation_scale": 9}
        arrow |= {"shrinkA": 7, "shrinkB": 7, "path_effects": style.outline(2.8, "#222222")}
        axis.add_patch(FancyArrowPatch((x, y), (then_x, then_y), **arrow))
    for g, (y, x) in enumerate(places[:shown]):  # over all windows
        disc = {"boxstyle": "circle,pad=0.2", "facecolor": colours[g], "edgecolor": "black", "linewidth": 0.8}
        axis.text(x, y, str(g + 1), color="black", ha="center", va="center", fontsize=9, bbox=disc)


# Of windows, the object's box, and the curves of labels.
def _marks(sides: NDArray[Any], boxed: bool) -> list[Artist]:
    marks: list[Artist] = []
    for window, of_window in enumerate(sides.T):
        least, most = float(of_window.min()), float(of_window.max())
        size = f"{least:g}" if least == most else f"{least:g} to {most:g}"
        names = {0: "finest window" if len(sides.T) > 1 else "what a glimpse sees"}
        name = f"{names.get(window, 'coarser window')}, {size} pixels a side"
        line: dict[str, Any] = {"linewidth": 1.1 if window else 2.0}
        line["linestyle"] = _LINES[min(window, len(_LINES) - 1)]
        marks.append(Line2D([], [], color=style.INK, label=name, **line))
    if boxed:
        marks.append(style.known_mark("the object"))
    marks.append(Line2D([], [], color=style.GREEN, linewidth=2.2, marker="o", label="the right label"))
    marks.append(Line2D([], [], color=_OTHER, linewidth=1.2, marker=".", label="other labels"))
    return marks


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
        axis.plot(
            steps[:shown], values, color=colour, linewidth=width, zorder=zorder, marker="o" if right else "."
        )
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
