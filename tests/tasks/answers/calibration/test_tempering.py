"""Temperatures and lags of times, against times that were drawn with known ones."""

import numpy as np
import pytest

from hardpp.tasks.answers.calibration.tempering import Known, central, fit, spread, tempered_quantiles

FRAME = 0.03


def posteriors(count: int, generator: np.random.Generator, size: int = 40) -> np.ndarray:
    """Peaked distributions over frames, of one or two humps."""
    centres = generator.uniform(8, size - 8, size=(count, 2, 1))
    humps = np.exp(-np.abs(np.arange(size) - centres) / generator.uniform(0.3, 1.0, size=(count, 2, 1)))
    p = humps[:, 0] + generator.choice([0.0, 0.1], size=(count, 1)) * humps[:, 1]
    return p / p.sum(-1, keepdims=True)


def happened(
    p: np.ndarray, temperature: float, lags: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    q = p ** (1 / temperature)
    reached = np.cumsum(q / q.sum(-1, keepdims=True), -1)
    frame = (reached < generator.random((len(p), 1))).sum(-1)
    return (frame + generator.random(len(p))) * FRAME - lags


def known(count: int, seed: int, temperature: float = 3.0, lag: float = 0.1) -> list[Known]:
    generator, data = np.random.default_rng(seed), []
    for number in range(count // 10):
        p, labels = posteriors(10, generator), [*"aabbbccccd"]
        lags = np.array([lag + 0.05 * (label == "b") for label in labels])
        data.append(Known(f"{seed} {number}", p, labels, happened(p, temperature, lags, generator)))
    return data


def test_quantiles_against_a_sum_over_frames() -> None:
    p = posteriors(5, np.random.default_rng(0))
    for temperature in (1.0, 2.5):
        found = tempered_quantiles(p, temperature, [0.1, 0.5, 0.99])
        q = p ** (1 / temperature)
        q /= q.sum(-1, keepdims=True)
        for row, times in zip(q, found, strict=True):
            for share, time in zip((0.1, 0.5, 0.99), times, strict=True):
                whole = int(time)
                assert row[:whole].sum() + (time - whole) * row[whole] == pytest.approx(share, abs=1e-9)


def test_of_what_is_certain_the_time_is_uniform_within_its_frame() -> None:
    certain = np.eye(6)[[0, 3, 5]]
    assert tempered_quantiles(certain, 1.0, [0.5, 0.25, 1.0]) == pytest.approx(
        np.array([[0.5, 0.25, 1], [3.5, 3.25, 4], [5.5, 5.25, 6]])
    )


def test_draws_are_spread_so_that_a_temperature_reaches_where_none_was() -> None:
    smooth = spread(np.eye(5)[[2]])
    assert smooth[0] / smooth[0, 2] == pytest.approx(np.exp([-2, -1, 0, -1, -2]))
    assert spread(np.eye(5)).sum(-1) == pytest.approx(1.0)


def test_the_temperature_and_the_lags_are_found() -> None:
    found = fit(known(1500, seed=1), FRAME, 0.89)
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert found.lag == pytest.approx(0.115, abs=0.01)
    assert found.lags["a"] == pytest.approx(0.1, abs=0.01)
    assert found.lags["b"] == pytest.approx(0.15, abs=0.01)
    assert found.fitted_to == 1500


@pytest.mark.parametrize("mass", [0.5, 0.89])
def test_intervals_of_new_times_hold_their_share(mass: float) -> None:
    found = fit(known(600, seed=2), FRAME, mass)
    held: list[bool] = []
    for _, p, labels, times in known(1000, seed=3):
        low, high = found.quantiles(p, labels, FRAME, central(mass)).T
        held += ((low <= times) & (times <= high)).tolist()
    error = (mass * (1 - mass) * (1 / 600 + 1 / 1000)) ** 0.5  # of both samples
    assert np.mean(held) == pytest.approx(mass, abs=3 * error)
    # Without the fit they do not: p is too sure, and late.
    raw = [
        ((low <= times) & (times <= high)).mean()
        for _, p, _, times in known(1000, seed=3)
        for low, high in [(tempered_quantiles(p, 1.0, central(mass)) * FRAME).T]
    ]
    assert np.mean(raw) < mass - 0.2


def test_a_label_that_was_never_seen_has_the_lag_of_all_and_times_stay_inside() -> None:
    found = fit(known(500, seed=4), FRAME, 0.89)
    p = np.eye(40)[[0, 20]]
    times = found.quantiles(p, ["new", "new"], FRAME, [0.5])[:, 0]
    assert times[1] == pytest.approx(20.5 * FRAME - found.lag)
    assert times[0] == 0.0


def test_few_known_times_are_refused() -> None:
    with pytest.raises(ValueError, match="50 known times are needed, there are 40"):
        fit(known(40, seed=5), FRAME, 0.89)
