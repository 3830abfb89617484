"""Reliability curves, against bins counted by hand."""

import math

import numpy as np
import pytest

from hardpp.tasks.answers.calibration.reliability import of_intervals, of_probabilities


def test_a_curve_by_hand() -> None:
    curve = of_probabilities("links", [0.0, 0.15, 0.2, 0.95, 1.0], [False, True, False, True, True], bins=5)
    assert (curve["what"], curve["count"]) == ("links", 5)
    low, second, last = curve["rows"]
    assert [row["bin"] for row in curve["rows"]] == ["0-0.2", "0.2-0.4", "0.8-1"]
    assert [row["count"] for row in curve["rows"]] == [2, 1, 2]
    assert (low["predicted"], low["observed"]) == pytest.approx((0.075, 0.5))
    assert (second["predicted"], second["observed"]) == (0.2, 0.0)  # an edge is in the bin above
    assert (last["predicted"], last["observed"]) == pytest.approx((0.975, 1.0))
    assert curve["ece"] == pytest.approx((2 * 0.425 + 1 * 0.2 + 2 * 0.025) / 5)
    assert 0 < last["error"] < 0.3  # both came true, which is not yet certainty


def test_what_comes_true_as_often_as_was_said_has_a_small_error() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(40_000)
    true = generator.random(40_000) < p
    assert of_probabilities("p", p, true)["ece"] < 0.01
    assert of_probabilities("p", p, generator.random(40_000) < p**2)["ece"] == pytest.approx(1 / 6, abs=0.01)


def test_intervals_by_hand() -> None:
    curve = of_intervals("ends", [0.5, 0.9], [[True, False, False, False], [True, True, True, False]])
    assert [(row["bin"], row["observed"], row["count"]) for row in curve["rows"]] == [
        ("50%", 0.25, 4),
        ("90%", 0.75, 4),
    ]
    assert curve["ece"] == pytest.approx((0.25 + 0.15) / 2)


def test_nothing_has_no_rows_and_what_does_not_fit_is_refused() -> None:
    for curve in (of_probabilities("p", [], []), of_intervals("t", [0.5], [[]])):
        assert (curve["rows"], curve["count"]) == ([], 0)
        assert math.isnan(curve["ece"])
    with pytest.raises(ValueError, match="as many probabilities as outcomes"):
        of_probabilities("p", [0.5], [True, False])
    with pytest.raises(ValueError, match="from 0 to 1"):
        of_probabilities("p", [1.5], [True])
    with pytest.raises(ValueError, match="a row for each of 2 levels"):
        of_intervals("t", [0.5, 0.9], [[True]])
