"""Pictures of when tokens are said: their probabilities over frames, under the frames themselves.

Shapes: T tokens (the end mark included), S frames, F features of a frame.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hardpp.errors import UsageError

_INK, _GOLD = "#333333", "#e66101"


def emission_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    tokens: Sequence[str],
    frame_seconds: float,
    frames: ArrayLike,
    *,
    ends: Sequence[float] = (),
    title: str = "",
) -> Figure:
    """The frames on top, and below, for each view, a row a token of how probable each frame is.

    Args:
        panels: a name and probabilities (T, S) each, such as guide and posterior.
        tokens: T labels.
        frame_seconds: from one frame to the next.
        frames: (S, F), as the model sees them.
        ends: seconds at which tokens are known to end, drawn as marks on their rows.
        title: of the figure.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (T, S).
    """
    if not panels:
        raise UsageError("an emission figure needs at least one panel")
    seen = np.asarray(frames, dtype=float)
    S, T = len(seen), len(tokens)
    size = float(np.interp(T, [10, 60], [0.26, 0.13]))
    heights = [1.4, *[max(1.0, size * T)] * len(panels)]
    figure = Figure(figsize=(10, sum(heights) + 0.9), layout="constrained")
    top, *axes = figure.subplots(1 + len(panels), 1, sharex=True, height_ratios=heights)
    extent = (0.0, S * frame_seconds)
    top.imshow(seen.T, aspect="auto", origin="lower", cmap="Greys", extent=(*extent, 0, seen.shape[1]))
    top.set_yticks([])
    top.set_ylabel("frames", color=_INK, fontsize=9)
    for axis, (name, weights) in zip(axes, panels, strict=True):
        values = np.asarray(weights, dtype=float)
        if values.shape != (T, S):
            raise ValueError(f"expected probabilities of shape {(T, S)} (tokens, frames), got {values.shape}")
        image = axis.imshow(
            values, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(*extent, T - 0.5, -0.5)
        )
        for row, end in enumerate(ends):
            axis.plot([end, end], [row - 0.5, row + 0.5], color=_GOLD, linewidth=1.6)
        axis.set_yticks(range(T), list(tokens), fontsize=float(np.interp(T, [10, 60], [9, 5])))
        for label in axis.get_yticklabels():
            label.set_parse_math(False)  # a token may be "$"
        axis.tick_params(length=0, colors=_INK)
        axis.set_title(name, fontsize=10, color=_INK, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("seconds" + (" (orange: where the token ends)" if len(ends) else ""), color=_INK)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_INK, length=2, labelsize=8)
    bar.set_label("probability", color=_INK)
    if title:
        figure.suptitle(title, fontsize=12, color=_INK, parse_math=False)
    return figure
