"""Gumbel-softmax against programs written by hand; straight-through and ReinMax summed over all indices."""

from collections.abc import Callable

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case
from inference import relaxed_cases
from inference.relaxed_cases import evaluate, gumbel, uniforms
from oracles import Latent, Twin
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.gumbel import GumbelSoftmax

CLOSE = {"rtol": 0, "atol": 1e-9}
DOUBLE = torch.float64
Function = Callable[[Tensor], Tensor]  # weights (..., S) -> (...)


def kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_q.exp() * (log_q - log_p)).sum()


# --- Gumbel-softmax ---------------------------------------------------------------------------------


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("temperature", [0.3, 2.0])
@pytest.mark.parametrize("program", cases.TAKES_RELAXED)
def test_the_value_and_its_gradient_by_hand(program: str, temperature: float, particles: int) -> None:
    case = cases.CASES[program]()
    us = uniforms(case, particles)

    def weigh(log_q: Tensor, u: Tensor) -> Tensor:
        return ((log_q + gumbel(u)) / temperature).softmax(-1)

    exact = relaxed_cases.by_hand(case, us, weigh, kl)
    value, gradient = evaluate(GumbelSoftmax(particles, temperature=temperature), case, us)
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact.sum(), relaxed_cases.parameters(case))
    torch.testing.assert_close(gradient, expected, **CLOSE)
    assert expected.abs().max() > 1e-2


def test_cold_weights_are_the_index_of_the_largest() -> None:
    log_q = torch.randn(50, 6, dtype=DOUBLE).log_softmax(-1)
    objective = GumbelSoftmax(temperature=1e-5)
    noise = objective.noise(log_q)()
    weights = objective.weights(log_q, noise)
    hard = nn.functional.one_hot((log_q + noise).argmax(-1), 6).to(DOUBLE)
    torch.testing.assert_close(weights, hard, rtol=0, atol=1e-12)
    warm = GumbelSoftmax(temperature=1.0).weights(log_q, noise)
    assert (warm - hard).abs().max() > 0.1


def test_the_largest_is_a_draw_from_q() -> None:
    log_q = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=DOUBLE).log()
    N = 20_000
    noise = GumbelSoftmax().noise(log_q.expand(N, 4))()
    found = nn.functional.one_hot((log_q + noise).argmax(-1), 4).to(DOUBLE).mean(0)
    q = log_q.exp()
    assert ((found - q).abs() <= 4 * (q * (1 - q) / N).sqrt()).all()


# --- straight-through and ReinMax -------------------------------------------------------------------

HARD = ["straight-through", "reinmax"]


def linear(z: Tensor) -> Tensor:
    return z @ torch.tensor([0.7, -1.1, 2.0, 0.4], dtype=DOUBLE)


def quadratic(z: Tensor) -> Tensor:
    A = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    return linear(z) + ((z @ A) * z).sum(-1)


def cubic(z: Tensor) -> Tensor:
    return quadratic(z) + linear(z) ** 3


class OneSite(nn.Module):
    """One latent of four values, p(y | z) = exp f(z); without an f, the guide."""

    max_plate_nesting = 1

    def __init__(self, excluded: Tensor, f: Function | None, seed: int):
        super().__init__()
        self.logits, self.excluded, self.f = cases.normal(4, seed=seed), excluded, f

    def forward(self) -> None:
        with pyro.plate("data", 1, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=self.logits.masked_fill(self.excluded, -torch.inf)))
            if self.f is not None:
                pyro.factor("f", self.f(z))

    def log_prob(self, z: Tensor) -> Tensor:
        return self.logits.masked_fill(self.excluded, -torch.inf).log_softmax(-1)[z]


def one_site(f: Function, values: int = 4) -> Case:
    """Only the first so many of the four values are possible."""
    excluded = torch.arange(4) >= values
    model, guide = OneSite(excluded, f, 2), OneSite(excluded, None, 1)

    def joint(latents: oracles.Values) -> tuple[Tensor, Tensor]:
        z = latents["z"]
        return model.log_prob(z) + f(nn.functional.one_hot(z, 4).to(DOUBLE)), guide.log_prob(z)

    return Case(model, guide, (), Twin({"z": Latent(values, torch.ones(1, dtype=torch.bool))}, joint))


def expected_gradient(objective: GumbelSoftmax, case: Case) -> Tensor:
    def run() -> tuple[Tensor]:
        return (objective.estimate(case.model, case.guide).surrogate,)

    (surrogate,) = oracles.expectation(case.twin, 1, run)
    return oracles.flat_gradient(surrogate, [*case.of_guide, *case.of_model])


def hard(estimator: str, temperature: float = 1.0, particles: int = 1) -> GumbelSoftmax:
    return GumbelSoftmax(
        particles,
        temperature=temperature,
        straight_through=estimator == "straight-through",
        reinmax=estimator == "reinmax",
    )


EXACT = [("straight-through", linear), ("reinmax", linear), ("reinmax", quadratic)]
BIASED = [("straight-through", quadratic), ("straight-through", cubic), ("reinmax", cubic)]


@pytest.mark.parametrize("values", [4, 3])
@pytest.mark.parametrize(("estimator", "f"), EXACT)
def test_where_the_estimators_are_exact(estimator: str, f: Function, values: int) -> None:
    case = one_site(f, values)
    exact = oracles.flat_gradient(oracles.bound_per_datum(case.twin).sum(), [*case.of_guide, *case.of_model])
    torch.testing.assert_close(expected_gradient(hard(estimator), case), exact, **CLOSE)
    assert exact.abs().max() > 0.1


@pytest.mark.parametrize(("estimator", "f"), BIASED)
def test_where_they_are_not(estimator: str, f: Function) -> None:
    case = one_site(f)
    exact = oracles.flat_gradient(oracles.bound_per_datum(case.twin).sum(), case.of_guide)
    assert (expected_gradient(hard(estimator), case)[:4] - exact).abs().max() > 1e-2


@pytest.mark.parametrize("temperature", [1.0, 1.7])
@pytest.mark.parametrize("estimator", HARD)
def test_the_expected_gradient_is_the_formula(estimator: str, temperature: float) -> None:
    """A sum over pairs of values, or Liu et al.'s algorithm 2 with its Jacobians written out, for any f."""
    case = one_site(cubic)
    theta = case.of_guide[0]
    log_q, log_p = theta.log_softmax(-1), case.of_model[0].log_softmax(-1)
    expected = -oracles.flat_gradient(kl(log_q, log_p), [theta])
    q, soft = log_q.exp().detach(), (theta / temperature).softmax(-1).detach()
    for j, corner in enumerate(torch.eye(4, dtype=DOUBLE)):
        corner.requires_grad_()
        (slope,) = torch.autograd.grad(cubic(corner), corner)
        if estimator == "straight-through":
            step = (soft.diag() - soft.outer(soft)) / temperature
        else:
            middle = (soft + corner.detach()) / 2
            step = 2 * (middle.diag() - middle.outer(middle)) - (q.diag() - q.outer(q)) / 2
        expected = expected + q[j] * (slope @ step)
    found = expected_gradient(hard(estimator, temperature), case)[:4]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_reinmax_takes_the_mean_slope_of_both_ends() -> None:
    """f(i) - f(j) becomes (f'(i) + f'(j)) . (i - j) / 2 in the exact gradient (Liu et al., section 4)."""
    case = one_site(cubic)
    theta = case.of_guide[0]
    log_q, log_p = theta.log_softmax(-1), case.of_model[0].log_softmax(-1)
    corners = torch.eye(4, dtype=DOUBLE, requires_grad=True)
    (slopes,) = torch.autograd.grad(cubic(corners).sum(), corners)
    differences = [[(slopes[i] + slopes[j]) @ (corners[i] - corners[j]).detach() / 2 for j in range(4)]
                   for i in range(4)]  # fmt: skip
    q = log_q.exp()
    surrogate = sum(q[i] * q[j].detach() * differences[i][j] for i in range(4) for j in range(4))
    expected = oracles.flat_gradient(surrogate - kl(log_q, log_p), [theta])
    torch.testing.assert_close(expected_gradient(hard("reinmax"), case)[:4], expected, **CLOSE)


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("estimator", HARD)
@pytest.mark.parametrize("program", cases.TAKES_RELAXED)
def test_their_values_are_those_of_indices(program: str, estimator: str, particles: int) -> None:
    """Only the guide's gradient is biased: the expected value is the bound, the model's gradient its own."""
    case = cases.CASES[program]()
    objective = hard(estimator, particles=particles)

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(case.twin, particles, run)
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    shared = {id(parameter) for parameter in case.guide.parameters()}  # all of them with the prior as guide
    own = [parameter for parameter in case.of_model if id(parameter) not in shared]
    expected = oracles.flat_gradient(exact.sum(), own)
    torch.testing.assert_close(oracles.flat_gradient(surrogate, own), expected, **CLOSE)
    assert not own or expected.abs().max() > 1e-2


@pytest.mark.parametrize("estimator", HARD)
def test_forward_weights_are_one_hot(estimator: str) -> None:
    log_q = torch.randn(7, 5).log_softmax(-1).requires_grad_()
    objective = hard(estimator, 0.3)
    noise = objective.noise(log_q)
    torch.testing.assert_close(noise.logits, log_q)
    index = noise()
    weights = objective.weights(log_q, index)
    torch.testing.assert_close(weights, nn.functional.one_hot(index, 5).float(), rtol=0, atol=0)
    assert weights.requires_grad


# --- temperature ------------------------------------------------------------------------------------


def annealed() -> GumbelSoftmax:
    return GumbelSoftmax(2, temperature=2.0, final_temperature=0.5, anneal_steps=4)


def test_an_estimate_is_made_at_the_temperature_of_its_time() -> None:
    case = cases.CASES["chain-ragged"]()
    objective, us = annealed(), uniforms(case, 2)
    for temperature in (2.0, 2**0.5, 1.0):
        plain = GumbelSoftmax(2, temperature=temperature)
        expected, gradient = evaluate(plain, case, us)
        value, found = evaluate(objective, case, us)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(found, gradient, rtol=0, atol=1e-5)


def test_without_a_schedule_nothing_is_counted_or_saved() -> None:
    case = cases.CASES["chain"]()
    module = GumbelSoftmax()(case.model, case.guide)
    saved = {name for name in module.state_dict() if not name.startswith(("model.", "guide."))}
    assert saved == set()


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, "a temperature is positive, got 0.0"),
        ({"temperature": float("nan")}, "a temperature is positive, got nan"),
        ({"final_temperature": -1.0}, "a temperature is positive, got -1.0"),
        ({"final_temperature": 0.5, "anneal_steps": 0}, "over at least 1 step, got 0"),
        ({"straight_through": True, "reinmax": True}, "choose one"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GumbelSoftmax(**arguments)
