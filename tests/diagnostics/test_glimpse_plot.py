"""Figures of glimpses: what is drawn of which, and frames that grow."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from hardpp.diagnostics.glimpse_plot import glimpse_figure
from hardpp.diagnostics.plot_style import distinct_colours

CLASSES = ["cat", "dog", "a class with a very long name"]
CORNERS = np.array([[[0, 0]], [[2, 4]], [[1, 1]]])
PREDICTED = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
SEEN = np.zeros((3, 8, 10), bool)
SEEN[:, :4, :4] = SEEN[1:, 2:6, 4:8] = True
PIXELS = np.full((8, 10, 3), 7, np.uint8)


def drawn(**options: object) -> Figure:
    return glimpse_figure(PIXELS, CORNERS, np.full((3, 1), 4), PREDICTED, CLASSES, label=1, **options)  # type: ignore[arg-type]


def texts(figure: Figure) -> list[list[str]]:
    return [[text.get_text() for text in axis.texts] for axis in figure.axes]


def test_windows_are_numbered_and_labels_named() -> None:
    numbers, names = texts(drawn())
    assert numbers == ["1", "2", "3"]
    assert names == ["cat", "dog", "a class with a …"]


def test_a_frame_has_the_first_glimpses_only_and_the_same_axes() -> None:
    first, last = drawn(shown=1), drawn(shown=3)
    assert texts(first)[0] == ["1"]
    assert len(first.axes[0].patches) == 1
    assert all(len(line.get_xdata()) == 1 for line in first.axes[1].lines)  # type: ignore[arg-type]
    assert [axis.get_xlim() for axis in first.axes] == [axis.get_xlim() for axis in last.axes]
    assert texts(last) == texts(drawn())


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_what_is_classified_is_shown_alone(shown: int) -> None:
    figure = drawn(seen=SEEN, shown=shown)
    middle = figure.axes[1]
    pixels = np.asarray(middle.images[0].get_array())
    inside = SEEN[shown - 1]
    assert (pixels[inside] == 7).all()
    assert len(np.unique(pixels[~inside])) == 1
    assert middle.get_title() == f"what it classifies, {inside.mean():.0%} of the pixels"


def test_windows_are_true_to_scale_and_told_apart() -> None:
    corners, sides = np.array([[[2, 2], [0, 0]], [[4, 2], [2, 0]], [[1, 6], [0, 5]]]), np.tile([2, 4], (3, 1))
    figure = glimpse_figure(PIXELS, corners, sides, PREDICTED, CLASSES, label=1, note="run a, step 3: b")
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    drawn = {(box.get_y(), box.get_x(), box.get_width(), box.get_linestyle()) for box in boxes}
    fine, coarse = (
        {(*of_window.tolist(), float(side), line) for of_window in corners[:, window]}
        for window, side, line in ((0, 2, "-"), (1, 4, "--"))
    )
    assert drawn == fine | coarse
    assert len(arrows) == 2
    assert len({box.get_edgecolor() for box in boxes}) == 3
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["finest window, 2 pixels a side", "coarser window, 4 pixels a side"]
    assert figure.get_suptitle() == "dog\nrun a, step 3: b"


def test_colours_differ_however_many_there_are() -> None:
    for count in (1, 7, 8, 30):
        assert len(set(distinct_colours(count))) == count


def test_grey_images_are_greyed_too() -> None:
    figure = glimpse_figure(
        PIXELS[..., :1], CORNERS, np.full((3, 1), 4), PREDICTED, CLASSES, label=0, seen=SEEN
    )
    assert np.asarray(figure.axes[1].images[0].get_array()).shape == (8, 10)


def test_no_two_texts_of_a_figure_overlap() -> None:
    corners = np.array([[[2, 2]], [[2, 3]], [[3, 2]], [[3, 3]], [[2, 4]], [[4, 2]]])
    predicted = np.full((6, 12), 1 / 12)
    names = [f"class {number}" for number in range(12)]
    figure = glimpse_figure(
        np.zeros((24, 24, 1), np.uint8), corners, np.full((6, 1), 12), predicted, names, label=5
    )
    figure.canvas.draw()
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts]
        assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])
