import numpy as np
import pytest

from hardpp.diagnostics.importance import effective_sample_size, pareto_k


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


def test_pareto_k_without_a_tail_is_nan():
    random = np.random.default_rng(0).normal(size=(29, 1))
    assert np.isnan(pareto_k(random)).all()
    constant, two_valued = np.zeros((100, 1)), np.repeat([[0.0], [1.0]], [10, 90], 0)
    few_stand_out = np.concatenate([np.zeros((96, 1)), np.arange(1.0, 5.0)[:, None]])
    good = np.random.default_rng(0).normal(size=(100, 1))
    found = pareto_k(np.concatenate([constant, good, two_valued, few_stand_out], 1))
    assert np.isnan(found).tolist() == [True, False, True, True]


def test_the_fewest_draws_give_a_number():
    assert np.isfinite(pareto_k(np.random.default_rng(0).normal(size=(30, 5)))).all()
