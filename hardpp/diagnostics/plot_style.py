"""What all figures share: colours, titles, the colour bar, and the checks of what is drawn.

Figures are made without pyplot, so they need no window and leave no state. Texts come from data, where "$"
is a token and starts no formula.
"""

import warnings
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from hardpp.errors import UsageError

INK = "#333333"  # texts and ticks
ORANGE = "#e66101"  # marks on what is drawn
GREEN = "#2c7a2c"  # what the data say is right
BLUE = "#0072b2"  # a second kind of marks
GREY = "#7a8ca3"  # what serves as a comparison
PALE = "#e4e8ee"  # grids and borders
HEAT = "Blues"  # colours of probabilities
PROBABILITY = "probability (square-root scale)"  # beside them

_OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")
_LETTER = 0.078  # inches of a letter of a title

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def check_panels(panels: Sequence[Any], figure: str) -> None:
    """Raises UsageError if a figure has no panels."""
    if not panels:
        raise UsageError(f"{figure} needs at least one panel")


def check_shape(probabilities: ArrayLike, shape: tuple[int, ...], axes: str) -> NDArray[np.float64]:
    """Probabilities as an array of floats; raises ValueError if they have another shape."""
    values = np.asarray(probabilities, dtype=float)
    if values.shape != shape:
        raise ValueError(f"expected probabilities of shape {shape} ({axes}), got {values.shape}")
    return values


def probability_scale(most: float = 1.0) -> PowerNorm:
    """From 0 to the largest probability by square roots, so that a weak attention can be seen, too."""
    return PowerNorm(0.5, 0.0, max(most, 1e-6))


def outline(width: float, colour: str = "white") -> list[AbstractPathEffect]:
    """A rim around a line, by which it is seen on any ground."""
    return [withStroke(linewidth=width, foreground=colour)]


def distinct_colours(count: int) -> list[tuple[float, ...]]:
    """Colours (red, green, blue, opacity) that people tell apart whatever colours they see, in an order.

    The first are of Okabe and Ito (2008), Color Universal Design; more than there are go from dark to light.
    """
    if count <= len(_OKABE_ITO):
        return [to_rgba(colour) for colour in _OKABE_ITO[:count]]
    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.25, 1.0, count))]


def figure_title(figure: Figure, title: str, note: str = "") -> None:
    """Writes over all panels the title, if there is one, and below it what the figure shows."""
    width = max(20, int(figure.get_figwidth() / _LETTER))
    for written in figure.findobj(Text):  # no font can draw a name's bytes that are no UTF-8
        written.set_text(_writable(written.get_text()))
    lines = [line for text in (title, note) for line in wrap(_writable(text), width)]
    if lines:
        figure.suptitle("\n".join(lines), fontsize=10, color=INK, parse_math=False)
        if isinstance(layout := figure.get_layout_engine(), ConstrainedLayoutEngine):
            layout.set(h_pad=0.08)  # inches, or titles of panels touch it
            # The first layout goes by panels of another shape than those that it makes.
            with warnings.catch_warnings(action="ignore"):  # who draws it is warned
                figure.draw_without_rendering()


def legend(figure: Figure, marks: Sequence[Artist]) -> None:
    """Explains marks, by their labels, below all panels, in as many columns as fit beside each other."""
    labels = [str(mark.get_label()) for mark in marks]
    widest = max(map(len, labels), default=0) * _LETTER * 0.8 + 0.6  # inches
    columns = max(1, min(len(marks), int(figure.get_figwidth() / widest)))
    texts = figure.legend(
        handles=list(marks), loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    for text in texts.get_texts():
        text.set(color=INK, parse_math=False)


def panel_title(axis: Axes, title: str, **place: Any) -> None:
    """Writes the title over one panel."""
    axis.set_title(title, fontsize=10, color=INK, parse_math=False, **place)


def plain_tick_labels(axis: Any) -> None:
    """Shows the tick labels as they are, without ticks."""
    for label in (*axis.get_xticklabels(), *axis.get_yticklabels()):
        label.set_parse_math(False)
    axis.tick_params(which="both", length=0, colors=INK)


def colour_bar(figure: Figure, image: ScalarMappable, axes: Any, label: str, **place: Any) -> None:
    """Draws one colour bar beside all panels in `axes`."""
    bar = figure.colorbar(image, ax=axes, **{"fraction": 0.03, "pad": 0.02, **place})
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, length=2, labelsize=8)


def show_image(axis: Axes, pixels: NDArray[Any] | None, width: float, height: float) -> None:
    """Draws an image (height, width, 1 or 3) of uint8, or leaves room for it; (0, 0) is top left."""
    if pixels is not None:
        grey = pixels.shape[-1] == 1
        place: dict[str, Any] = {"extent": (0, width, height, 0), "interpolation": "nearest"}
        colours: dict[str, Any] = {"cmap": "gray" if grey else None, "vmin": 0, "vmax": 255}
        axis.imshow(pixels[..., 0] if grey else pixels, **place, **colours)
    axis.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_color(PALE)


def draw_box(axis: Axes, box: Sequence[float], **style: Any) -> None:
    """Draws the edge of a box: left, top, right, bottom in pixels."""
    left, top, right, bottom = box
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))


def known_mark(label: str) -> Line2D:
    """What `draw_known_box` draws, for a legend."""
    return Line2D([], [], color=GREEN, linestyle="--", linewidth=1.4, label=label)


def draw_known_box(axis: Axes, box: Sequence[float] | None) -> None:
    """Draws a broken green line around what the data say is right, if they say it."""
    if box is not None:
        draw_box(axis, box, edgecolor=GREEN, linestyle="--", linewidth=1.4)


def _writable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
