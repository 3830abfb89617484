"""Platt scaling, against probabilities that made the outcomes, and its own equations; and cross-fitting."""

import numpy as np
import pytest

from hardpp.tasks.answers.calibration.cross_fitting import FOLDS, cross_fit
from hardpp.tasks.answers.calibration.platt import FEWEST, fit, logits
from hardpp.tasks.answers.calibration.reliability import of_probabilities


def test_it_finds_the_map_that_made_the_outcomes() -> None:
    generator = np.random.default_rng(1)
    p = generator.beta(2, 0.5, size=(20_000, 2))
    scores = logits(p)
    right = 1 / (1 + np.exp(0.7 - scores @ [0.4, 0.1]))
    true = generator.random(20_000) < right
    found = fit(scores, true)
    assert found.intercept == pytest.approx(-0.7, abs=0.1)
    assert found.slopes == pytest.approx((0.4, 0.1), abs=0.03)
    assert found.fitted_to == 20_000
    assert of_probabilities("raw", p[:, 0], true)["ece"] > 0.1
    assert of_probabilities("fitted", found(scores), true)["ece"] < 0.02


def test_its_residuals_are_at_right_angles_to_the_scores() -> None:
    """The equations of a maximum, with targets as in Platt's paper."""
    generator = np.random.default_rng(2)
    scores = generator.normal(size=(300, 3))
    true = generator.random(300) < 0.3
    found = fit(scores, true)
    n1, n0 = true.sum(), (~true).sum()
    rest = np.where(true, (n1 + 1) / (n1 + 2), 1 / (n0 + 2)) - found(scores)
    assert np.abs(np.append(rest @ scores, rest.sum())).max() < 1e-4


def test_what_can_be_told_apart_or_never_differs_gives_finite_numbers() -> None:
    apart = np.r_[np.full(30, -50.0), np.full(30, 50.0)]
    found = fit(apart[:, None], apart > 0)
    assert found([[50.0], [-50.0]]) == pytest.approx([31 / 32, 1 / 32], abs=1e-3)
    same = np.ones((120, 2))  # as where all links are both directions'
    assert fit(same, np.arange(120) < 90)([[1.0, 1.0]])[0] == pytest.approx(0.75, abs=0.01)
    assert np.isfinite(logits([0.0, 1.0])).all()
    assert logits([0.0, 0.5]).tolist()[1] == 0


def test_few_of_a_kind_are_refused() -> None:
    with pytest.raises(
        ValueError, match=f"{FEWEST} true and {FEWEST} false ones are needed, there are 3 and 97"
    ):
        fit(np.zeros((100, 1)), np.arange(100) < 3)


def test_a_datum_is_judged_by_a_fit_that_has_not_seen_it() -> None:
    data = [f"datum {n % 40}" for n in range(50)]  # ten of them twice
    fits = cross_fit(data, lambda places: {data[place] for place in places})
    seen = [fits.fit_for(datum) for datum in data]
    assert all(datum not in others and len(others) == 32 for datum, others in zip(data, seen, strict=True))
    assert len({frozenset(others) for others in seen}) == FOLDS
    assert fits.fit_for("another") == set(data)
