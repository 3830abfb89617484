"""Pictures of an image that is seen in part, and of completions of it.

Shapes: N completions, T patches, C channels.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hardpp.diagnostics import plot_style as style

_UNSEEN = np.array([0x8A, 0xA4, 0xC8])  # no grey, so that no seen pixel looks like it
_SIDE = 1.15  # inches of an image


def completion_figure(
    pixels: NDArray[Any],
    seen: NDArray[np.bool_],
    completions: NDArray[Any],
    *,
    draws: int,
    title: str = "",
    note: str = "",
    shown: int | None = None,
) -> Figure:
    """A row for none, one, ... of the patches: what is seen, the mean of all completions, and some of them.

    Args:
        pixels: (C, height, width) uint8, C one or three.
        seen: (T + 1, height, width), by the number of patches.
        completions: (T + 1, N, C, height, width) uint8.
        draws: how many completions are shown, at most N.
        title, note: over all: the item, and what is shown of it.
        shown: only the rows of at most so many patches, in a figure of the same size; left out, all.
    """
    height, width = pixels.shape[1:]
    image = _in_colour(pixels)
    rows, columns = len(seen), draws + 3
    figure = Figure(figsize=(_SIDE * columns, _SIDE * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for patches, of_row in enumerate(axes):
        drawn = completions[patches]
        pictures: list[NDArray[Any] | None] = [np.where(seen[patches][..., None], image, _UNSEEN)]
        pictures.append(_in_colour(drawn.mean(0)))
        pictures += [_in_colour(one) for one in drawn[:draws]]
        pictures.append(image if patches == 0 else None)
        for axis, picture in zip(of_row, pictures, strict=True):
            if picture is None or (shown is not None and patches > shown):
                axis.set_visible(False)
            else:
                style.show_image(axis, picture.astype(np.uint8), width, height)
        of_row[0].set_ylabel(str(patches), color=style.INK, rotation=0, labelpad=10, va="center")
    titles = {0: "seen", 1: "mean", 2: "completions", columns - 1: "the image"}
    for column, text in titles.items():
        style.panel_title(axes[0][column], text)
    figure.supylabel("patches that are seen", fontsize=10, color=style.INK)
    style.figure_title(figure, title, note)
    return figure


def _in_colour(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(np.moveaxis(pixels, 0, -1), (*pixels.shape[1:], 3))
