"""Differences between runs on the same items, with errors of the pairs, and ArviZ's frame of them."""

import arviz
import numpy as np
import pytest

from hardpp.diagnostics.elpd import compare_elpd, comparison_frame, elpd_figure
from hardpp.errors import UsageError

HARD = np.array([-1.0, -50.0, -3.0, -20.0])  # some items are hard for everybody
NATS = {"worse": HARD - np.array([1.0, 1.5, 0.5, 1.0]), "best": HARD, "worst": HARD - 2.0}


def test_differences_are_paired() -> None:
    rows = compare_elpd(NATS)
    assert [(row["name"], row["rank"]) for row in rows] == [("best", 0), ("worse", 1), ("worst", 2)]
    best, worse, worst = rows
    assert (best["elpd"], best["elpd_diff"], best["dse"]) == (-74.0, 0.0, 0.0)
    assert best["se"] == pytest.approx((4 * HARD.var(ddof=1)) ** 0.5)
    assert worse["elpd_diff"] == pytest.approx(4.0)
    assert worse["dse"] == pytest.approx((4 * (0.25 + 0.25) / 3) ** 0.5)  # of 1, 1.5, .5, 1
    assert worst["dse"] == pytest.approx(0.0)  # the same difference for each item, whatever their spread
    assert worst["se"] > 20


def test_what_cannot_be_compared() -> None:
    for nats in ({"a": HARD}, {"a": HARD, "b": HARD[:3]}, {"a": HARD[:1], "b": HARD[:1]}):
        with pytest.raises(UsageError, match="two runs at least"):
            compare_elpd(nats)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # which ArviZ 0.23 gives pandas 3.1
def test_arviz_draws_the_frame() -> None:
    frame = comparison_frame(compare_elpd(NATS))
    assert list(frame.index) == ["best", "worse", "worst"]
    drawn = arviz.plot_compare(frame)
    axis = drawn if hasattr(drawn, "get_xlim") else drawn["figure"].item().axes[0]
    low, high = axis.get_xlim()
    assert low < -82 < -74 < high


def test_the_picture_names_the_runs_and_shows_their_differences() -> None:
    figure = elpd_figure(compare_elpd(NATS), title="4 items, exact")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["best", "worse", "worst"]
    points = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"]
    assert points == pytest.approx([0.0, -4.0, -8.0])
    bars = [line.get_xdata() for line in axis.lines if line.get_marker() != "o"]
    dse = compare_elpd(NATS)[1]["dse"]
    assert list(bars[2]) == pytest.approx([-4 - 2 * dse, -4 + 2 * dse])
