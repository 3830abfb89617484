import numpy as np
import pytest

from hardpp.diagnostics.importance import effective_sample_size, equal_draws, pareto_k, weight_drawn_once


def test_effective_sample_size_counts_the_draws_that_matter():
    log_weights = np.log(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1e-30], [1.0, 2.0, 1e-30], [1.0, 4.0, 1e-30]]))
    np.testing.assert_allclose(effective_sample_size(log_weights), [4.0, 64 / 22, 1.0])
    # Only ratios count, however small or large the weights are.
    np.testing.assert_allclose(effective_sample_size(log_weights - 5000), effective_sample_size(log_weights))
    np.testing.assert_allclose(effective_sample_size(log_weights + 5000), effective_sample_size(log_weights))


# With x exponential of rate 1, exp(k x) is Pareto distributed with shape k.
@pytest.mark.parametrize("shape", [0.2, 0.5, 1.0])
def test_pareto_k_finds_a_known_tail(shape):
    log_weights = shape * np.random.default_rng(0).exponential(size=(20_000, 8))
    # Fits to the 424 largest of 20000 weights scatter by about (1 + k) / sqrt(424) = 0.1.
    np.testing.assert_allclose(pareto_k(log_weights).mean(), shape, atol=0.12)


def test_pareto_k_judges_each_instance_alone():
    log_weights = np.random.default_rng(0).normal(size=(100, 3))
    alone = [pareto_k(log_weights[:, [n]])[0] for n in range(3)]
    np.testing.assert_allclose(pareto_k(log_weights), alone)


def test_pareto_k_without_a_tail_is_infinite():
    random = np.random.default_rng(0).normal(size=(29, 1))
    assert np.isnan(pareto_k(random)).all()
    constant, two_valued = np.zeros((100, 1)), np.repeat([[0.0], [1.0]], [10, 90], 0)
    few_stand_out = np.concatenate([np.zeros((96, 1)), np.arange(1.0, 5.0)[:, None]])
    good = np.random.default_rng(0).normal(size=(100, 1))
    found = pareto_k(np.concatenate([constant, good, two_valued, few_stand_out], 1))
    assert found[[0, 2, 3]].tolist() == [-np.inf, -np.inf, np.inf]
    assert np.isfinite(found[1])


def test_the_fewest_draws_give_a_number():
    assert np.isfinite(pareto_k(np.random.default_rng(0).normal(size=(30, 5)))).all()


def test_equal_draws_are_found_by_their_values():
    drawn = np.array([[[0, 1], [2, 2]], [[0, 1], [2, 3]], [[1, 1], [2, 2]], [[0, 1], [2, 2]]])  # (4, 2, 2)
    assert equal_draws(drawn).tolist() == [[0, 0], [0, 1], [2, 0], [0, 0]]


def test_the_weight_on_values_drawn_once_estimates_what_was_not_drawn():
    # Values 0 to 49, drawn evenly 60 times; the target is geometric.
    random, K, N = np.random.default_rng(0), 60, 400
    target = 0.9 ** np.arange(50)
    target /= target.sum()
    drawn = random.integers(50, size=(K, N))
    once = weight_drawn_once(np.log(target[drawn] * 50), equal_draws(drawn))
    unseen = np.array([1 - target[np.unique(column)].sum() for column in drawn.T])
    assert unseen.mean() > 0.25
    assert once.mean() == pytest.approx(unseen.mean(), abs=0.03)
