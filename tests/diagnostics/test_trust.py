import numpy as np
import pytest
import xarray as xr

from hardpp.diagnostics.trust import pareto_limit, trust_summary, weight_statistics


def judged(log_weight, drawn, *, exact=False):
    return weight_statistics(
        np.asarray(log_weight, float)[:, None], drawn[:, None, None], "datum", exact=exact
    )


def word(*args, **options):
    return str(judged(*args, **options)["trust"].values[0, 0])


def weights(*groups):
    """Log weights and values of draws that repeat: (how often, weight) of each value."""
    counts, values = zip(*groups, strict=True)
    return np.repeat(np.log(values), counts), np.repeat(np.arange(len(groups)), counts)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        (weights((100, 1.0)), "good"),  # all the same value
        (weights((60, 1.0), (40, 0.5)), "good"),
        (weights((1, 70.0), (99, 1.0)), "few effective draws"),  # one of a hundred has .41 of the weight
        (weights((80, 1.0), (20, 0.01)), "good"),
        (weights((96, 1.0), *[(1, 1.01 + n / 100) for n in range(4)]), "good"),  # .04 was drawn once
        (weights((40, 1.0), *[(1, 1.5)] * 60), "unseen values"),
    ],
)
def test_draws_that_repeat_are_judged_by_what_was_drawn_once(draws, expected):
    assert word(*draws) == expected


def test_a_number_where_the_tail_can_be_fitted():
    x = np.random.default_rng(0).exponential(size=400)
    for shape, expected in ((0.2, "good"), (1.0, "few effective draws")):
        found = judged(shape * x, np.arange(400))
        assert np.isfinite(found["pareto_k"].values).all()
        assert str(found["trust"].values[0, 0]) == expected
    log_weight = np.random.default_rng(3).standard_t(3, size=400) * 0.6
    found = judged(log_weight, np.arange(400))
    assert (found["ess"].values > 25) == (str(found["trust"].values[0, 0]) != "few effective draws")


def test_a_heavy_tail_is_told_though_many_draws_count():
    # All but the largest weights are alike: many draws count, and the tail is that of a Pareto of shape .9.
    x = np.random.default_rng(1).exponential(size=2000)
    log_weight = np.where(x > 2.5, 0.9 * (x - 2.5), 0.0) + 1e-6 * x
    found = judged(log_weight, np.arange(2000))
    assert found["ess"].values > 25
    assert found["pareto_k"].values > pareto_limit(2000)
    assert str(found["trust"].values[0, 0]) == "heavy tail"


def test_rounding_does_not_tell_equal_draws_apart():
    log_weight, drawn = weights((50, 1.0), (50, 0.5))
    noisy = log_weight + np.random.default_rng(0).normal(scale=1e-7, size=100)
    assert np.isinf(judged(noisy, drawn)["pareto_k"].values).all()
    assert word(noisy, drawn) == "good"


def test_few_draws_say_nothing_and_the_exact_posterior_everything():
    log_weight, drawn = weights((20, 1.0))
    few = judged(log_weight, drawn)
    assert "pareto_k" not in few
    assert "left out: fewer than 30" in few["trust"].attrs["pareto_k"]
    assert str(few["trust"].values[0, 0]) == "too few draws"
    assert word(log_weight, drawn, exact=True) == "exact"


def test_the_limit_of_k_is_that_of_the_number_of_draws():
    assert [round(pareto_limit(draws), 3) for draws in (100, 1000, 10_000, 10**6)] == [0.5, 0.667, 0.7, 0.7]


def test_the_summary_counts_and_says_what_helps():
    statistics = weight_statistics(
        np.stack([np.zeros(100), weights((1, 70.0), (99, 1.0))[0]], 1),
        np.stack([np.zeros(100), weights((1, 70.0), (99, 1.0))[1]], 1)[..., None],
        "datum",
        exact=False,
    )
    tree = xr.DataTree.from_dict({"/sample_stats": xr.Dataset(statistics)})
    said = trust_summary(tree)
    assert said.startswith("1 of 2 posteriors can be trusted (1 good, 1 few effective draws)")
    assert "more draws" in said
    assert "nothing is said" in trust_summary(xr.DataTree())
