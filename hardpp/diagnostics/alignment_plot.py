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
from matplotlib.lines import Line2D
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
        probabilities: (T, S); NaN is left blank. Other shapes are a ValueError.
        source_tokens: S labels, drawn on top.
        target_tokens: T labels, drawn on the left.
        title, axis: of the panel, and where to draw it.

    Returns:
        The image, for a colour bar.
    """
    T, S = len(target_tokens), len(source_tokens)
    values = style.check_shape(probabilities, (T, S), "steps, source positions")
    image = axis.imshow(
        values, cmap=style.HEAT, norm=style.probability_scale(), aspect="equal", interpolation="nearest"
    )
    rows = np.flatnonzero(np.isfinite(values).any(-1))
    if rows.size:
        likeliest = np.stack([np.nanargmax(values[rows], -1), rows], -1)
        line: dict[str, Any] = {"facecolors": "none", "edgecolors": style.ORANGE, "linewidths": 1.3}
        line["path_effects"] = style.outline(2.6)
        # Sized in cells, so that it fits however large the cells are drawn.
        place: dict[str, Any] = {"units": "xy", "offsets": likeliest, "offset_transform": axis.transData}
        axis.add_collection(EllipseCollection([0.44], [0.44], [0.0], **place, **line))
    size = _font_size(max(T, S))
    axis.xaxis.tick_top()
    for set_ticks, tokens in ((axis.set_xticks, source_tokens), (axis.set_yticks, target_tokens)):
        set_ticks(range(len(tokens)), [_SHOWN.get(token, token) for token in tokens], fontsize=size)
        set_ticks(np.arange(len(tokens) + 1) - 0.5, minor=True)
    if max(map(len, source_tokens), default=0) > 2:
        axis.tick_params(axis="x", rotation=90)
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
    note: str = "",
) -> Figure:
    """Several views of one sentence's alignment under one colour scale, side by side while they fit.

    Panels are a name and probabilities (T, S) each, such as prior, guide and exact posterior. Under the
    title, `note` says what is shown.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (T, S).
    """
    style.check_panels(panels, "an alignment figure")
    T, S = len(target_tokens), len(source_tokens)
    cell = float(np.interp(max(T, S), [10, 40], [0.34, 0.19]))  # inches: large for a word
    letter = _font_size(max(T, S)) / 72 * 0.65  # inches
    left, top = letter * max(map(len, target_tokens)) + 0.15, letter * max(map(len, source_tokens)) + 0.5
    columns = max(1, min(len(panels), int((_WIDEST - left) / (cell * S + 0.25))))
    rows = ceil(len(panels) / columns)
    width = left + columns * (max(cell * S, 0.9) + 0.25) + 0.9
    height = rows * (cell * T + top) + (0.9 if title else 0.5)
    figure = Figure(figsize=(max(width, 3.6), max(height, 2.9)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for number, ((name, values), axis) in enumerate(zip(panels, axes.flat, strict=False)):
        image = alignment_heatmap(values, source_tokens, target_tokens, title=name, axis=axis)
        if number % columns:
            axis.set_yticklabels([])
    place: dict[str, Any] = {"fraction": 0.05, "aspect": 18, "shrink": 0.9 / rows, "anchor": (0.0, 1.0)}
    style.colour_bar(figure, image, axes, style.PROBABILITY, **place)
    ring: dict[str, Any] = {"marker": "o", "linestyle": "none", "markerfacecolor": "none"}
    style.legend(figure, [Line2D([], [], color=style.ORANGE, label="the likeliest position", **ring)])
    style.figure_title(figure, title, note)
    return figure


# Points a label: large for a word, still legible for forty tokens.
def _font_size(count: int) -> float:
    return float(np.interp(count, [10, 40], [11, 7.5]))
