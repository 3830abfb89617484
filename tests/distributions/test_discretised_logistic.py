"""The rounded logistic against sums over all grey values."""

import pytest
import torch
from torch import Tensor

from hardpp.distributions.discretised_logistic import DiscretisedLogistic

GREY = torch.arange(256, dtype=torch.float64)
CASES = [(0.0, 1.0), (17.3, 0.4), (127.5, 40.0), (255.0, 3.0), (-60.0, 9.0), (330.0, 20.0)]


def of(loc: float, scale: float) -> DiscretisedLogistic:
    return DiscretisedLogistic(*(torch.tensor(x, dtype=torch.float64) for x in (loc, scale)))


@pytest.mark.parametrize(("loc", "scale"), CASES)
def test_probabilities_are_differences_of_the_distribution_function_and_sum_to_one(
    loc: float, scale: float
) -> None:
    def below(t: Tensor) -> Tensor:
        return torch.sigmoid((t - loc) / scale)

    expected = below(GREY + 0.5) - below(GREY - 0.5)
    expected[0], expected[-1] = below(GREY[0] + 0.5), 1 - below(GREY[-1] - 0.5)
    found = of(loc, scale).log_prob(GREY).exp()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("loc", "scale"), CASES)
def test_the_mean_is_that_of_all_values_to_half_a_grey_value(loc: float, scale: float) -> None:
    distribution = of(loc, scale)
    mean = float((distribution.log_prob(GREY).exp() * GREY).sum())
    assert float(distribution.mean) == pytest.approx(mean, abs=0.5 if scale < 1 else 0.02)


def test_draws_are_as_often_as_they_are_probable() -> None:
    torch.manual_seed(0)
    distribution, count = of(3.0, 2.0), 40_000
    drawn = distribution.sample((count,))
    shares = torch.bincount(drawn.long(), minlength=256) / count
    probability = distribution.log_prob(GREY).exp()
    error = (probability * (1 - probability) / count).sqrt()
    assert ((shares - probability).abs() <= 4 * error + 1e-4).all()
    assert {float(x) for x in drawn.unique()} <= set(GREY.tolist())


def test_impossible_greys_have_finite_gradients_in_single_precision() -> None:
    loc = torch.tensor([-1e5, 0.0, 1e5, 100.0], requires_grad=True)
    scale = torch.tensor(0.01, requires_grad=True)
    log_prob = DiscretisedLogistic(loc, scale).log_prob(torch.tensor([255, 0, 0, 101], dtype=torch.uint8))
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert loc.grad is not None
    assert loc.grad.isfinite().all()
    assert scale.grad is not None
    assert scale.grad.isfinite()
