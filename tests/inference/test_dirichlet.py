"""Dirichlet weights against torch's own Dirichlet, closed forms and programs written by hand."""

import cases
import oracles
import pytest
import torch
from inference import relaxed_cases
from inference.relaxed_cases import evaluate, uniforms
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence

from hardpp.errors import UsageError
from hardpp.inference.dirichlet import FLOOR, ImplicitDirichlet
from hardpp.inference.soft_attention import SoftAttention

CLOSE = {"rtol": 0, "atol": 1e-9}
DOUBLE = torch.float64


def random_log_probs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=DOUBLE).log_softmax(-1)


def pad(log_probs: Tensor) -> Tensor:
    """Impossible values at both ends."""
    return nn.functional.pad(log_probs, (1, 2), value=-torch.inf)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("total", [0.5, 10.0, 300.0])
def test_the_divergence_is_that_of_torch(total: float, padded: bool) -> None:
    log_q, log_p = (random_log_probs(5, 4, seed=seed).requires_grad_() for seed in (0, 1))
    exact = kl_divergence(Dirichlet(total * log_q.exp()), Dirichlet(total * log_p.exp()))
    spread = pad if padded else lambda log_probs: log_probs
    found = ImplicitDirichlet(total=total).divergence(spread(log_q), spread(log_p))
    torch.testing.assert_close(found, exact, **CLOSE)
    for leaf in (log_q, log_p):
        expected, gradient = (oracles.flat_gradient(value.sum(), [leaf]) for value in (exact, found))
        torch.testing.assert_close(gradient, expected, **CLOSE)
        assert expected.abs().max() > 1e-2


def test_programs_with_other_possible_values_are_infinitely_far() -> None:
    three, two = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.6, 0.4, 0.0]).log().requires_grad_()
    objective = ImplicitDirichlet()
    divergence = torch.stack([objective.divergence(three, two), objective.divergence(two, three)])
    assert (divergence == torch.inf).all()
    (gradient,) = torch.autograd.grad(divergence.sum(), two)
    assert gradient.isfinite().all()


def test_concentrations_have_a_floor_at_possible_values_only() -> None:
    log_probs = torch.tensor([0.0, -200.0, -torch.inf])
    alpha = ImplicitDirichlet(total=5.0).concentration(log_probs)
    torch.testing.assert_close(alpha, torch.tensor([5.0, FLOOR, 0.0]))


@pytest.mark.parametrize("total", [0.5, 10.0])
def test_the_gradient_of_a_linear_function_is_unbiased(total: float) -> None:
    """E[weights] = alpha / total = q, so E[slope . weights] = slope . q, by 4 standard errors."""
    N, generator = 40_000, torch.Generator().manual_seed(2)
    slope = torch.randn(6, generator=generator, dtype=DOUBLE)
    logits = torch.randn(3, generator=generator, dtype=DOUBLE, requires_grad=True)
    copies = logits.expand(N, 3).clone().requires_grad_()  # a gradient a draw
    objective = ImplicitDirichlet(total=total)
    log_q = pad(copies.log_softmax(-1))
    weights = objective.weights(log_q, objective.noise(log_q)())
    value = weights @ slope
    (found,) = torch.autograd.grad(value.sum(), copies)
    exact = pad(logits.log_softmax(-1)).exp() @ slope
    (expected,) = torch.autograd.grad(exact, logits)
    error = found.std(0) / N**0.5
    assert (found.mean(0) - expected).abs().lt(4 * error).all()
    assert (value.mean() - exact).abs() < 4 * value.std() / N**0.5
    assert expected.abs().max() > 40 * error.max()  # so that no gradient, or half of it, would be noticed


@pytest.mark.parametrize("total", [0.5, 10.0])
def test_padded_draws_are_the_unpadded_ones(total: float) -> None:
    """The same seed gives the same weights and the same gradients, and padding exactly zero."""
    results = []
    for more in (0, 3):
        logits = random_log_probs(4, seed=3).requires_grad_()
        log_q = nn.functional.pad(logits, (0, more), value=-torch.inf).log_softmax(-1)
        torch.manual_seed(5)
        objective = ImplicitDirichlet(total=total)
        weights = objective.weights(log_q, objective.noise(log_q)())
        assert (weights[4:] == 0).all()
        slope = torch.arange(4 + more, dtype=DOUBLE)
        results.append((weights[:4], torch.autograd.grad(weights @ slope, logits)[0]))
    for plain, padded in zip(*results, strict=True):
        torch.testing.assert_close(padded, plain, rtol=0, atol=1e-12)
        assert plain.abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("values", [1, 4])
def test_a_single_possible_value_has_all_the_weight(values: int, dtype: torch.dtype) -> None:
    logits = torch.full((20, values), -torch.inf, dtype=dtype)
    logits[:, -1] = 3.0
    log_q = logits.requires_grad_().log_softmax(-1)
    objective = ImplicitDirichlet(total=0.5)
    weights = objective.weights(log_q, objective.noise(log_q)())
    torch.testing.assert_close(weights, log_q.exp(), rtol=0, atol=0)
    value = (weights * torch.arange(values)).sum() - objective.divergence(log_q, log_q).sum()
    assert (torch.autograd.grad(value, logits)[0] == 0).all()


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("total", [1.0, 8.0])
@pytest.mark.parametrize("program", cases.TAKES_RELAXED)
def test_the_value_and_its_gradient_by_hand(program: str, total: float, particles: int) -> None:
    """Of given gamma draws, which move with their concentrations as implicit differentiation says."""
    case = cases.CASES[program]()
    us = uniforms(case, particles)

    def weigh(log_q: Tensor, u: Tensor) -> Tensor:
        alpha = total * log_q.exp()
        gammas = u + torch._standard_gamma_grad(alpha.detach(), u) * (alpha - alpha.detach())
        return gammas / gammas.sum()

    def diverge(log_q: Tensor, log_p: Tensor) -> Tensor:
        return kl_divergence(Dirichlet(total * log_q.exp()), Dirichlet(total * log_p.exp()))

    exact = relaxed_cases.by_hand(case, us, weigh, diverge)
    value, gradient = evaluate(ImplicitDirichlet(particles, total=total), case, us)
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact.sum(), relaxed_cases.parameters(case))
    torch.testing.assert_close(gradient, expected, **CLOSE)
    assert expected.abs().max() > 1e-2


def test_with_a_large_total_the_prior_gives_soft_attention() -> None:
    case = cases.alignment("prior")
    soft = SoftAttention().estimate(case.model, case.guide, *case.args)
    sure = ImplicitDirichlet(total=1e12).estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(sure.bound, soft.bound, rtol=0, atol=1e-5)
    unsure = ImplicitDirichlet(total=1.0).estimate(case.model, case.guide, *case.args)
    assert (unsure.bound - soft.bound).abs().max() > 1e-3


def test_with_a_small_total_weights_are_nearly_one_hot_draws_from_q() -> None:
    N, q = 20_000, torch.tensor([0.6, 0.3, 0.1], dtype=DOUBLE)
    objective = ImplicitDirichlet(total=0.01)
    log_q = q.log().expand(N, 3)
    weights = objective.weights(log_q, objective.noise(log_q)())
    assert (weights.amax(-1) > 0.999).double().mean() > 0.9
    largest = nn.functional.one_hot(weights.argmax(-1), 3).double().mean(0)
    assert (largest - q).abs().lt(4 * (q * (1 - q) / N).sqrt() + 1e-3).all()


@pytest.mark.parametrize("total", [0.0, -1.0, float("nan")])
def test_a_total_is_positive(total: float) -> None:
    with pytest.raises(UsageError, match=f"concentrations is positive, got {total}"):
        ImplicitDirichlet(total=total)
