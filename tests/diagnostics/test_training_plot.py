"""Curves of a training show what was recorded of it."""

from math import nan
from typing import Any

import pytest

from hardpp.diagnostics.training_plot import training_figure
from hardpp.errors import UsageError


def recorded(**more: Any) -> list[dict[str, Any]]:
    train = [
        {"split": "train", "step": n, "epoch": 0, "bound": -9.0 + n, "learning_rate": 0.1 * n, **more}
        for n in (1, 2, 3)
    ]
    dev = {"split": "dev", "epoch": 1, "best": 1.0, **more}
    return [
        *train,
        {**dev, "step": 3, "bound": -4.0, "PER": 0.5},
        {**dev, "step": 6, "bound": -2.0, "PER": 0.25},
    ]


def test_bounds_figures_and_rates() -> None:
    figure = training_figure(recorded(), title="mine", unit="a symbol")
    bounds, figures, rates = figure.axes
    train, dev, kept = bounds.lines
    assert (list(train.get_xdata()), list(train.get_ydata())) == ([1, 2, 3], [-8.0, -7.0, -6.0])
    assert (list(dev.get_xdata()), list(dev.get_ydata())) == ([3, 6], [-4.0, -2.0])
    assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([6], [-2.0])
    assert figures.get_ylabel() == "dev PER"
    assert list(figures.lines[0].get_ydata()) == [0.5, 0.25]
    assert list(rates.lines[0].get_ydata()) == pytest.approx([0.1, 0.2, 0.3])
    assert "a symbol" in bounds.get_ylabel()


def test_stages_are_marked_where_they_begin() -> None:
    later = [record | {"step": record["step"] + 6} for record in recorded(stage="joint")]
    figure = training_figure([*recorded(stage="places"), *later], title="", unit="an image")
    assert [text.get_text() for text in figure.axes[0].texts] == ["places", "joint"]
    assert [list(line.get_xdata()) for line in figure.axes[-1].lines[1:]] == [[7, 7]]
    _, dev, *_ = figure.axes[0].lines
    assert list(dev.get_ydata()) == pytest.approx([-4.0, -2.0, nan, -4.0, -2.0], nan_ok=True)


def test_nothing_recorded_is_refused_and_gaps_are_left_out() -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        training_figure([], title="", unit="a symbol")
    (first, *others) = recorded()
    figure = training_figure([first | {"bound": None}, *others], title="", unit="a symbol")
    assert list(figure.axes[0].lines[0].get_xdata()) == [2, 3]


def test_what_was_not_recorded_has_no_panel_and_one_point_is_seen() -> None:
    (bounds, _) = training_figure(recorded()[3:], title="", unit="a symbol").axes
    assert [text.get_text() for text in bounds.get_legend().get_texts()] == ["dev, mean weights", "kept"]
    (bounds, _, rates) = training_figure(recorded()[2:], title="", unit="a symbol").axes
    assert bounds.lines[0].get_marker() == rates.lines[0].get_marker() == "o"
