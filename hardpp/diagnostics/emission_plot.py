"""Pictures of when tokens are said: their probabilities over frames, under the frames themselves.

Shapes: T tokens (the end mark included), S frames, F features of a frame.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hardpp.diagnostics import plot_style as style


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

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (T, S).
    """
    style.check_panels(panels, "an emission figure")
    features = np.asarray(frames, dtype=float)
    S, T = len(features), len(tokens)
    size = float(np.interp(T, [10, 60], [0.26, 0.13]))
    heights = [1.4, *[max(1.0, size * T)] * len(panels)]
    figure = Figure(figsize=(10, sum(heights) + 0.9), layout="constrained")
    top, *axes = figure.subplots(1 + len(panels), 1, sharex=True, height_ratios=heights)
    time = (0.0, S * frame_seconds)
    top.imshow(features.T, aspect="auto", origin="lower", cmap="Greys", extent=(*time, 0, features.shape[1]))
    top.set_yticks([])
    top.set_ylabel("frames", color=style.INK, fontsize=9)
    for axis, (name, probabilities) in zip(axes, panels, strict=True):
        values = style.check_shape(probabilities, (T, S), "tokens, frames")
        image = axis.imshow(values, **style.HEAT, aspect="auto", extent=(*time, T - 0.5, -0.5))
        for row, end in enumerate(ends):
            axis.plot([end, end], [row - 0.5, row + 0.5], color=style.ORANGE, linewidth=1.6)
        axis.set_yticks(range(T), list(tokens), fontsize=float(np.interp(T, [10, 60], [9, 5])))
        style.plain_tick_labels(axis)
        style.panel_title(axis, name, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("seconds" + (" (orange: where the token ends)" if len(ends) else ""), color=style.INK)
    style.colour_bar(figure, image, axes, "probability", pad=0.01)
    style.figure_title(figure, title)
    return figure
