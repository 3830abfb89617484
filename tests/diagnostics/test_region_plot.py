import numpy as np
import pytest
from matplotlib.patches import Rectangle

from hardpp.diagnostics.region_plot import region_figure, visibility
from hardpp.errors import UsageError

BOXES = [(0.0, 0.0, 8.0, 8.0), (8.0, 0.0, 16.0, 8.0), (0.0, 8.0, 8.0, 16.0)]
PIXELS = np.full((16, 16, 3), 200, np.uint8)


def frames(axis, colour):
    return [
        (patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height())
        for patch in axis.patches
        if isinstance(patch, Rectangle) and patch.get_linewidth() and patch.get_edgecolor()[:3] == colour
    ]


def test_points_are_seen_through_all_regions_that_show_them():
    overlapping = [(0, 0, 4, 4), (2, 0, 6, 4), (0, 2, 4, 6)]
    shown = visibility([0.5, 0.3, np.nan], overlapping, 8, 6)
    expected = np.zeros((6, 8))
    expected[:4, :4] += 0.5
    expected[:4, 2:6] += 0.3
    np.testing.assert_allclose(shown, expected)
    assert visibility([1.0, 0.0, 0.0], overlapping, 4000, 20).shape == (20, 256)


def test_the_likeliest_region_is_framed_and_what_is_not_seen_dimmed():
    weights = [0.1, 0.7, 0.2]
    figure = region_figure(
        [("prior", weights)], BOXES, pixels=PIXELS, gold=(1.0, 2.0, 5.0, 9.0), title="what?"
    )
    image, panel = figure.axes[:2]
    assert [image.get_title(), panel.get_title()] == ["image", "prior\n0.70 at region 1"]
    orange, green = ((230 / 255, 97 / 255, 1 / 255), (44 / 255, 122 / 255, 44 / 255))
    assert frames(panel, orange) == [(8.0, 0.0, 8.0, 8.0)]
    assert frames(panel, green) == [(1.0, 2.0, 4.0, 7.0)]
    grey, overlay = panel.images
    assert grey.get_array().ndim == 2
    bar = figure.axes[-1]
    assert bar.get_ylim() == (0.0, 0.7)  # to the largest probability
    colours = overlay.get_array()
    lightness = [colours[y, x, :3].mean() for y, x in ((0, 0), (0, 12), (12, 0), (12, 12))]
    assert np.argsort(lightness).tolist() == [3, 0, 2, 1]  # nothing, .1, .2, .7
    marks = [text.get_text() for text in figure.legends[0].get_texts()]
    assert marks == ["the likeliest region", "where the data say that the answer lies"]
    figure.canvas.draw()


def test_a_weak_attention_can_be_seen() -> None:
    figure = region_figure([("prior", [0.03, 0.02, 0.01]), ("posterior", [1.0, 0.0, 0.0])], BOXES)
    colours = figure.axes[0].images[0].get_array()
    assert np.abs(colours[0, 0] - colours[12, 12]).max() > 0.1


def test_regions_without_pixels_are_drawn_on_a_plain_ground():
    figure = region_figure([("prior", [1, 0, 0]), ("guide", [0, 0, 1])], BOXES)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["prior\n1.00 at region 0", "guide\n1.00 at region 2"]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="at least one panel"):
        region_figure([], BOXES)
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(3,\)"):
        region_figure([("prior", [0.5, 0.5])], BOXES)
