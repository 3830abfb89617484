"""Heat maps of alignments: how probable each source position is at each output step.

Shapes: T steps, S source positions.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from hardpp.diagnostics import plot_style as style

_WIDEST = 16.0  # inches a row of panels may take
_SHOWN = {"": "∅", " ": "␣", "\t": "⇥", "\n": "⏎"}


def alignment_heatmap(
    probabilities: ArrayLike,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    title: str,
    axis: Axes,
) -> AxesImage:
    """Draws probabilities of source positions, one row a step; a ring marks the largest of each row.

    Args:
        probabilities: (T, S); NaN is left blank.
        source_tokens: S labels, drawn on top.
        target_tokens: T labels, drawn on the left.
        title: of the panel.
        axis: where to draw.

    Returns:
        The image, for a colour bar.

    Raises:
        ValueError: probabilities of another shape than (T, S).
    """
    T, S = len(target_tokens), len(source_tokens)
    values = style.check_shape(probabilities, (T, S), "steps, source positions")
    image = axis.imshow(values, **style.HEAT, aspect="equal", interpolation="nearest")
    rows = np.flatnonzero(np.isfinite(values).any(-1))
    if rows.size:
        likeliest = np.stack([np.nanargmax(values[rows], -1), rows], -1)
        axis.add_collection(
            # Sized in cells, so that it fits however large the cells are drawn.
            EllipseCollection(
                [0.44],
                [0.44],
                [0.0],
                units="xy",
                offsets=likeliest,
                offset_transform=axis.transData,
                facecolors="none",
                edgecolors=style.ORANGE,
                linewidths=1.3,
                path_effects=[withStroke(linewidth=2.6, foreground="white")],
            )
        )
    size = _font_size(max(T, S))
    axis.xaxis.tick_top()
    axis.set_xticks(range(S), [_SHOWN.get(token, token) for token in source_tokens], fontsize=size)
    axis.set_yticks(range(T), [_SHOWN.get(token, token) for token in target_tokens], fontsize=size)
    if max(map(len, source_tokens), default=0) > 2:
        axis.tick_params(axis="x", rotation=90)
    axis.set_xticks(np.arange(S + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(T + 1) - 0.5, minor=True)
    axis.grid(which="minor", color=style.PALE, linewidth=0.5)
    style.plain_tick_labels(axis)
    axis.spines[:].set_visible(False)
    style.panel_title(axis, title)
    return image


def alignment_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Several views of one sentence's alignment under one colour scale, side by side while they fit.

    Args:
        panels: a name and probabilities (T, S) each, such as prior, guide and exact posterior.
        source_tokens: S labels.
        target_tokens: T labels.
        title: of the figure.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (T, S).
    """
    style.check_panels(panels, "an alignment figure")
    T, S = len(target_tokens), len(source_tokens)
    cell = _cell(max(T, S))
    letter = _font_size(max(T, S)) / 72 * 0.65
    left, top = letter * max(map(len, target_tokens)) + 0.15, letter * max(map(len, source_tokens)) + 0.5
    columns = max(1, min(len(panels), int((_WIDEST - left) / (cell * S + 0.25))))
    rows = ceil(len(panels) / columns)
    width = left + columns * (max(cell * S, 0.9) + 0.25) + 0.9
    height = rows * (cell * T + top) + (0.5 if title else 0.2)
    figure = Figure(figsize=(width, max(height, 2.6)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for number, ((name, values), axis) in enumerate(zip(panels, axes.flat, strict=False)):
        image = alignment_heatmap(values, source_tokens, target_tokens, title=name, axis=axis)
        if number % columns:
            axis.set_yticklabels([])
    place: dict[str, Any] = {"fraction": 0.05, "aspect": 18, "shrink": 0.9 / rows, "anchor": (0.0, 1.0)}
    style.colour_bar(figure, image, axes, "probability", **place)
    style.figure_title(figure, title)
    return figure


# Inches a cell and points a label: large for a word, still legible for forty tokens.
def _cell(count: int) -> float:
    return float(np.interp(count, [10, 40], [0.34, 0.19]))


def _font_size(count: int) -> float:
    return float(np.interp(count, [10, 40], [11, 7.5]))
