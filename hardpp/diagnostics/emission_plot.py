"""Pictures of when tokens are said: their probabilities over frames, under the sound that they are said in.

Shapes: T tokens (the end mark included), S frames, M columns and F rows of what is drawn of the sound.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from hardpp.diagnostics import plot_style as style

_DECIBELS = 10 / np.log(10)  # in a nat of energy
_QUIETEST = -60.0  # decibels below the loudest that are still drawn


class Sound(NamedTuple):
    """What is drawn of an utterance."""

    values: ArrayLike  # (M, F): log energies of bands in nats, or any features
    seconds: float  # from one column to the next
    bands: ArrayLike | None = None  # (F,) centres of the bands in Hz; None: the features are no bands


class Said(NamedTuple):
    """A stretch of time in which the data say that a token was said."""

    start: float  # seconds
    end: float
    token: str


def emission_figure(
    panels: Sequence[tuple[str, ArrayLike]],
    tokens: Sequence[str],
    frame_seconds: float,
    sound: Sound,
    *,
    said: Sequence[Said] = (),
    title: str = "",
    note: str = "",
) -> Figure:
    """The sound on top, and below, for each view, a row a token of how probable each frame is.

    Args:
        panels: a name and probabilities (T, S) each, such as guide and posterior.
        tokens: T labels.
        frame_seconds: from one frame to the next.
        sound: a spectrogram, or the features that the model reads.
        said: when tokens are known to be said; their ends are drawn as marks on their rows.
        title, note: over all: the utterance, and what is shown of it.

    Raises:
        UsageError: nothing to draw.
        ValueError: probabilities of another shape than (T, S).
    """
    style.check_panels(panels, "an emission figure")
    T, S = len(tokens), np.asarray(panels[0][1]).shape[-1]
    size = float(np.interp(T, [10, 60], [0.26, 0.13]))
    heights = [2.0, *[max(1.0, size * T)] * len(panels)]
    figure = Figure(figsize=(10, sum(heights) + 1.5), layout="constrained")
    top, *axes = figure.subplots(1 + len(panels), 1, sharex=True, height_ratios=heights)
    _draw_sound(figure, top, sound, said)
    time, scale = (0.0, S * frame_seconds), style.probability_scale()
    for axis, (name, probabilities) in zip(axes, panels, strict=True):
        values = style.check_shape(probabilities, (T, S), "tokens, frames")
        place: dict[str, Any] = {"aspect": "auto", "extent": (*time, T - 0.5, -0.5)}
        image = axis.imshow(values, cmap=style.HEAT, norm=scale, interpolation="nearest", **place)
        for row, of_token in enumerate(said):
            axis.plot([of_token.end] * 2, [row - 0.5, row + 0.5], color=style.ORANGE, linewidth=1.8)
        axis.set_yticks(range(T), list(tokens), fontsize=float(np.interp(T, [10, 60], [9, 5])))
        style.plain_tick_labels(axis)
        axis.tick_params(axis="x", length=3)
        style.panel_title(axis, name, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlim(*time)
    axes[-1].set_xlabel("seconds", color=style.INK)
    style.colour_bar(figure, image, axes, style.PROBABILITY, pad=0.01)
    if said:
        mark = Line2D([], [], color=style.ORANGE, linewidth=1.8, label="where the data say that a token ends")
        style.legend(figure, [mark])
    style.figure_title(figure, title, note)
    return figure


def _draw_sound(figure: Figure, axis: Axes, sound: Sound, said: Sequence[Said]) -> None:
    values = np.asarray(sound.values, dtype=float).T  # (F, M)
    F, M = values.shape
    ground: dict[str, Any] = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}
    ground["extent"] = (0.0, M * sound.seconds, -0.5, F - 0.5)
    if sound.bands is None:
        axis.imshow(values, cmap="Greys", **ground)
        style.panel_title(axis, f"the {F} features of a frame", loc="left")
        axis.set_yticks([])
    else:
        loudness = (values - values.max()) * _DECIBELS
        image = axis.imshow(loudness, cmap="magma", vmin=_QUIETEST, vmax=0.0, **ground)
        axis.set_yticks(*_hertz(np.asarray(sound.bands, dtype=float)), fontsize=8)
        axis.set_ylabel("Hz (mel scale)", color=style.INK, fontsize=9)
        style.panel_title(axis, "log-mel spectrogram", loc="left")
        style.colour_bar(figure, image, axis, "dB below the loudest", pad=0.01)
    axis.tick_params(colors=style.INK)
    for of_token in said:
        axis.axvline(of_token.end, color="white", linewidth=1.4)
        axis.axvline(of_token.end, color=style.ORANGE, linewidth=0.8)
    top = axis.secondary_xaxis("top")
    middles = [(of_token.start + of_token.end) / 2 for of_token in said]
    size = float(np.interp(len(said), [10, 60], [9, 5]))
    top.set_xticks(middles, [of_token.token for of_token in said], fontsize=size)
    style.plain_tick_labels(top)
    top.spines[:].set_visible(False)


# Ticks at round frequencies between the centres of bands, in numbers of bands.
def _hertz(centres: NDArray[np.float64]) -> tuple[list[float], list[str]]:
    round_ones = [hertz for hertz in (125, 250, 500, 1000, 2000, 4000, 8000) if hertz <= 1.05 * centres[-1]]
    shown = [hertz for hertz in round_ones if hertz >= centres[0]]
    bands = np.arange(len(centres))
    return [float(np.interp(hertz, centres, bands)) for hertz in shown], [f"{hertz:,}" for hertz in shown]
