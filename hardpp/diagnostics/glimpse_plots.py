"""Pictures of an image with the glimpses over it, in their order, and of what was made of them.

Shapes: T glimpses, L windows of a glimpse, V labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

_INK, _GOLD, _RIGHT, _OTHER = "#333333", "#2c7a2c", "#2c7a2c", "#b8c4d2"
_SHOWN = 10  # labels at most


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
        corners: (T, L, 2) rows and columns of the windows' top left pixels.
        sides: (T, L) pixels a side.
        predicted: (T, V) probabilities of labels after each glimpse.
        classes: V names.
        label: the right one.
        gold: left, top, right, bottom of the object, drawn with a broken line.
        title: of the figure.

    Raises:
        ValueError: probabilities for another number of classes.
    """
    corner, side, beliefs = np.asarray(corners), np.asarray(sides), np.asarray(predicted, dtype=float)
    T = len(corner)
    if beliefs.shape != (T, len(classes)):
        raise ValueError(f"expected probabilities of shape {(T, len(classes))}, got {beliefs.shape}")
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    height, width = pixels.shape[:2]
    grey = pixels.shape[-1] == 1
    left.imshow(pixels[..., 0] if grey else pixels, cmap="gray" if grey else None, vmin=0, vmax=255)
    colours = colormaps["plasma"](np.linspace(0.2, 0.9, T))
    for t in range(T):
        for (top, start), span, narrow in zip(corner[t], side[t], range(corner.shape[1]), strict=True):
            box = Rectangle(
                (start - 0.5, top - 0.5),
                span,
                span,
                fill=False,
                edgecolor=colours[t],
                linewidth=1.8 if narrow == 0 else 0.7,
                alpha=1.0 if narrow == 0 else 0.6,
            )
            left.add_patch(box)
        y, x = corner[t, 0] + (side[t, 0] - 1) / 2
        text = left.text(x, y, str(t + 1), color=colours[t], ha="center", va="center", fontsize=10)
        text.set_path_effects([withStroke(linewidth=2.2, foreground="black")])
    if gold is not None:
        x, y, end, bottom = gold
        size = end - x, bottom - y
        where = (x - 0.5, y - 0.5)
        left.add_patch(Rectangle(where, *size, fill=False, edgecolor=_GOLD, linestyle="--", linewidth=1.4))
    left.set_xlim(-0.5, width - 0.5)
    left.set_ylim(height - 0.5, -0.5)
    left.set_xticks([])
    left.set_yticks([])
    best = sorted(set(np.argsort(-beliefs.max(0))[:_SHOWN]) | {label})
    for number in best:
        mine = number == label
        right.plot(
            range(1, T + 1),
            beliefs[:, number],
            color=_RIGHT if mine else _OTHER,
            linewidth=2.2 if mine else 1.2,
            zorder=3 if mine else 2,
        )
        if mine or beliefs[-1, number] > 0.05 or beliefs[:, number].max() > 0.3:
            t = int(beliefs[:, number].argmax())
            right.annotate(
                classes[number], (t + 1, beliefs[t, number]), color=_INK, fontsize=9, parse_math=False
            )
    right.set_ylim(-0.02, 1.06)
    right.set_xticks(range(1, T + 1))
    right.set_xlabel("glimpse", color=_INK)
    right.set_ylabel("probability of the label", color=_INK)
    right.spines[["top", "right"]].set_visible(False)
    right.tick_params(colors=_INK, labelsize=9)
    figure.suptitle(f"{title} \N{EM DASH} {classes[label]}" if title else classes[label], parse_math=False)
    return figure
