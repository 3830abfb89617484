"""What all figures share: colours, titles, the colour bar, and the checks of what is drawn.

Figures are made without pyplot, so they need no window and leave no state. Texts come from data, where "$"
is a token and starts no formula.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from hardpp.errors import UsageError

INK = "#333333"  # texts and ticks
ORANGE = "#e66101"  # marks on what is drawn
GREEN = "#2c7a2c"  # what the data say is right
GREY = "#7a8ca3"  # what serves as a comparison
PALE = "#e4e8ee"  # grids and borders
HEAT: dict[str, Any] = {"cmap": "Blues", "vmin": 0.0, "vmax": 1.0}  # of probabilities

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


def figure_title(figure: Figure, title: str) -> None:
    """Writes the title over all panels, if there is one."""
    if title:
        figure.suptitle(title, fontsize=12, color=INK, parse_math=False)


def panel_title(axis: Axes, title: str, **place: Any) -> None:
    """Writes the title over one panel."""
    axis.set_title(title, fontsize=10, color=INK, parse_math=False, **place)


def plain_tick_labels(axis: Axes) -> None:
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


def draw_known_box(axis: Axes, box: Sequence[float] | None) -> None:
    """Draws a broken green line around what the data say is right, if they say it."""
    if box is not None:
        draw_box(axis, box, edgecolor=GREEN, linestyle="--", linewidth=1.4)
