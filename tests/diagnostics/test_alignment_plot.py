from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from hardpp.diagnostics import plot_style as style
from hardpp.diagnostics.alignment_plot import alignment_figure, alignment_heatmap
from hardpp.errors import UsageError
from hardpp.verbs.output import write_figure


def weights(T, S):
    return np.random.default_rng(0).dirichlet(np.ones(S), T)


def panels(figure):
    return [axis for axis in figure.axes if axis.get_title()]


def test_a_heatmap_shows_every_token_and_marks_the_likeliest():
    axis = Figure().subplots()
    values = weights(3, 4)
    image = alignment_heatmap(values, list("abcd"), ["X", "Y", "</s>"], title="exact", axis=axis)
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.get_clim() == (0.0, 1.0)
    assert [label.get_text() for label in axis.get_xticklabels()] == list("abcd")
    assert [label.get_text() for label in axis.get_yticklabels()] == ["X", "Y", "</s>"]
    assert axis.yaxis_inverted()  # the first step on top
    (rings,) = [artist for artist in axis.collections if isinstance(artist, EllipseCollection)]
    np.testing.assert_array_equal(rings.get_offsets(), [[values[t].argmax(), t] for t in range(3)])


def test_rows_without_a_value_are_left_blank():
    axis = Figure().subplots()
    values = weights(2, 2)
    values[1] = np.nan
    alignment_heatmap(values, ["a", "b"], ["x", ""], title="", axis=axis)
    (rings,) = axis.collections
    assert len(rings.get_offsets()) == 1


@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (12,)])
def test_refuses_weights_that_do_not_fit_the_tokens(shape):
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(3, 4\)"):
        alignment_heatmap(np.zeros(shape), list("abcd"), list("xyz"), title="", axis=Figure().subplots())


@pytest.mark.parametrize("size", [1, 5, pytest.param(40, marks=pytest.mark.slow)])
def test_labels_are_inside_the_figure_legible_and_apart(size):
    tokens = ["IH1"] * size
    figure = alignment_figure([(n, weights(size, size)) for n in "pqr"], tokens, tokens, title="word")
    figure.canvas.draw()
    box = figure.bbox
    for axis in panels(figure):
        labels = [label for label in (*axis.get_xticklabels(), *axis.get_yticklabels()) if label.get_text()]
        extents = [label.get_window_extent() for label in labels]
        for label, extent in zip(labels, extents, strict=True):
            assert label.get_fontsize() >= 7
            assert extent.x0 >= box.x0
            assert extent.y1 <= box.y1
        tops = sorted(extents[:size], key=lambda extent: extent.x0)
        assert all(left.x1 < right.x0 + 1 for left, right in pairwise(tops))
    assert figure.get_figwidth() < 18


def test_panels_share_one_named_colour_scale():
    figure = alignment_figure([("prior", weights(3, 2)), ("guide", weights(3, 2))], ["a", "b"], list("xyz"))
    assert [axis.get_title() for axis in panels(figure)] == ["prior", "guide"]
    assert [axis.get_ylabel() for axis in figure.axes if not axis.get_title()] == [style.PROBABILITY]
    with pytest.raises(UsageError):
        alignment_figure([], ["a"], ["b"])


def test_a_weak_attention_can_be_seen_beside_a_strong_one():
    axis = Figure().subplots()
    image = alignment_heatmap([[0.97, 0.03, 0.0]], list("abc"), ["X"], title="", axis=axis)
    blank, weak = (image.cmap(image.norm(value)) for value in (0.0, 0.03))
    assert max(abs(a - b) for a, b in zip(blank, weak, strict=True)) > 0.1


def test_a_figure_says_what_it_shows():
    note = "run alignment-variational-elbo-0, step 12: where each symbol comes from, which is a long line"
    figure = alignment_figure([("prior", weights(1, 2))], ["a", "b"], ["X"], title="ab", note=note)
    lines = figure.get_suptitle().split("\n")
    assert lines[0] == "ab"
    assert " ".join(lines[1:]) == note
    figure.canvas.draw()
    assert figure._suptitle.get_window_extent().x0 >= 0
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["the likeliest position"]


@pytest.mark.parametrize("source", [["b", "</s>"], ["Donaudampfschifffahrt", "a", "b"], ["Hund"] * 12])
def test_titles_of_panels_do_not_touch_that_of_the_figure(source):
    panels = [(name, weights(2, len(source))) for name in ("prior", "guide")]
    figure = alignment_figure(panels, source, ["a", "b"], title="x", note="run a, step 12: of a test")
    FigureCanvasAgg(figure).draw()  # that of a figure without pyplot draws nothing
    highest = max(axis.title.get_window_extent().y1 for axis in figure.axes if axis.get_title())
    assert figure._suptitle.get_window_extent().y0 - highest > 4 / 72 * figure.dpi


def test_tokens_are_no_formulas(tmp_path):
    figure = alignment_figure([("$p", weights(3, 3))], ["$", "$\\x$", " "], ["", "_^", "</s>"], title="$\\y$")
    write_figure(figure, tmp_path / "a.svg")
    assert "␣" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_leaves_pyplot_alone():
    from matplotlib import pyplot

    before = pyplot.get_fignums()  # what somebody else has left open
    alignment_figure([("a", weights(2, 2))], ["a", "b"], ["x", "y"])
    assert pyplot.get_fignums() == before
