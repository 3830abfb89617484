"""Expectations and variances of the score-function estimators, summed over every draw of the guide."""

from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro.distributions as dist
import pytest
import torch
from cases import CASES, Case
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.baselines import LearnedBaseline
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.tracegraph import TraceGraph

CLOSE = {"rtol": 0, "atol": 1e-9}
PROVENANCE_IS_LOST = ["chain-buffer", "chain-int"]


def check_expectation(case: Case, objective: SurrogateObjective, particles: int, fill: int = 0) -> None:
    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(case.twin, particles, run, fill)
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert not parameters or expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", CASES)
def test_one_particle(name: str, credit: str) -> None:
    check_expectation(CASES[name](), ScoreFunctionELBO(credit=credit), 1)


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", CASES)
def test_leave_one_out_of_two(name: str, credit: str) -> None:
    check_expectation(CASES[name](), ScoreFunctionELBO(2, credit=credit, baseline="leave-one-out"), 2)


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: cases.chain((2,)),
        lambda: cases.history(2),
        lambda: cases.two_supports(),
        lambda: cases.alignment(batch=cases.alignment_batch((2,), (2,))),
    ],
    ids=["chain", "history", "two-supports", "alignment"],
)
def test_leave_one_out_of_three(make: Callable[[], Case], credit: str) -> None:
    check_expectation(make(), ScoreFunctionELBO(3, credit=credit, baseline="leave-one-out"), 3)


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", cases.TAKES_RELAXED)
def test_soft_attention(name: str, credit: str, particles: int) -> None:
    objective = ScoreFunctionELBO(particles, credit=credit, baseline="soft-attention")
    check_expectation(CASES[name](), objective, particles)


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", CASES)
def test_temporal(name: str, credit: str) -> None:
    check_expectation(CASES[name](), ScoreFunctionELBO(2, credit=credit, baseline="temporal"), 2)


@pytest.mark.parametrize(
    "make", [lambda: cases.chain((2,)), lambda: cases.history(2)], ids=["chain", "history"]
)
def test_temporal_of_three(make: Callable[[], Case]) -> None:
    check_expectation(make(), ScoreFunctionELBO(3, baseline="temporal"), 3)


def gradient(case: Case, objective: SurrogateObjective, value: Tensor) -> Tensor:
    """At given draws (T, K, B) of a chain."""
    with oracles.Force({f"z_{t}": z for t, z in enumerate(value)}):
        estimate = objective.estimate(case.model, case.guide, *case.args)
    return oracles.flat_gradient(estimate.surrogate, [*case.of_model, *case.of_guide])


def test_temporal_by_the_clock_is_leave_one_out() -> None:
    """Who counts steps instead of what they emit compares futures of the same step."""
    case, value = cases.chain((4, 2)), torch.randint(0, 2, (4, 3, 2))

    def clock(values: Tensor) -> Tensor:
        return torch.ones_like(values).cumsum(-1)

    by_clock = gradient(case, ScoreFunctionELBO(3, baseline="temporal", progress=clock), value)
    same = gradient(case, ScoreFunctionELBO(3, baseline="leave-one-out"), value)
    torch.testing.assert_close(by_clock, same, rtol=1e-12, atol=1e-12)
    by_values = gradient(case, ScoreFunctionELBO(3, baseline="temporal"), value)
    assert (by_values - same).abs().max() > 1e-2


def test_progress_sees_nothing_of_what_is_masked() -> None:
    case, seen = cases.chain((3, 1)), []

    def watch(values: Tensor) -> Tensor:
        seen.append(values)
        return values.cumsum(-1)

    gradient(case, ScoreFunctionELBO(2, baseline="temporal", progress=watch), torch.ones(3, 2, 2).long())
    assert seen[0].tolist() == [[[1, 1, 1], [1, 0, 0]]] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "temporal"}, "a temporal baseline compares particles: it needs at least 2, got 1"),
        ({"progress": torch.cumsum}, "progress is for baseline 'temporal', not for None"),
        ({"baseline": "median"}, "'learned', a module or None, not 'median'"),
        ({"baseline": ["average"]}, "a module or None, not"),
    ],
)
def test_impossible_options(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScoreFunctionELBO(1, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("name", [name for name in CASES if name not in PROVENANCE_IS_LOST])
def test_tracegraph(name: str, particles: int) -> None:
    check_expectation(CASES[name](), TraceGraph(particles), particles)


@pytest.mark.parametrize("name", ["chain-ragged", "alignment-variational"])
@pytest.mark.parametrize("baseline", [None, "leave-one-out", "soft-attention", "temporal"])
def test_what_is_drawn_at_masked_elements_is_indifferent(name: str, baseline: str | None) -> None:
    check_expectation(CASES[name](), ScoreFunctionELBO(2, baseline=baseline), 2, fill=1)


@pytest.mark.parametrize("name", PROVENANCE_IS_LOST)
def test_tracegraph_is_biased_where_a_program_hides_a_latent(name: str) -> None:
    """If this fails Pyro has changed: say so in `TraceGraph`, and take the case off the list."""
    case = CASES[name]()

    def run() -> tuple[Tensor]:
        return (TraceGraph().estimate(case.model, case.guide, *case.args).surrogate,)

    (surrogate,) = oracles.expectation(case.twin, 1, run)
    exact = oracles.flat_gradient(oracles.bound_per_datum(case.twin).sum(), case.of_guide)
    bias = oracles.flat_gradient(surrogate, case.of_guide) - exact
    assert bias.abs().max() > 1e-3


def variance(case: Case, objective: SurrogateObjective, particles: int) -> Tensor:
    def run() -> Tensor:
        return objective.estimate(case.model, case.guide, *case.args).surrogate

    return oracles.gradient_variance(case.twin, particles, run, case.of_guide)


@pytest.mark.slow
@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda: cases.chain((2,)),
        lambda: cases.chain((2, 1)),
        lambda: cases.history(2),
        lambda: cases.alignment(batch=cases.alignment_batch((2,), (2,))),
    ],
    ids=["chain", "chain-ragged", "history", "alignment"],
)
def test_causal_credit_has_the_variance_of_tracegraph(make: Callable[[], Case], particles: int) -> None:
    case = make()
    causal = variance(case, ScoreFunctionELBO(particles), particles)
    torch.testing.assert_close(causal, variance(case, TraceGraph(particles), particles), rtol=0, atol=1e-10)
    assert causal.sum() > 1e-2


@pytest.mark.parametrize("baseline", [None, "leave-one-out"])
@pytest.mark.parametrize("name", ["chain", "history", "chain-ragged"])
def test_global_credit_has_more_variance(name: str, baseline: str | None) -> None:
    case = CASES[name]() if baseline is None else cases.chain((2,))
    K = 1 if baseline is None else 2
    causal = variance(case, ScoreFunctionELBO(K, baseline=baseline), K).sum()
    assert variance(case, ScoreFunctionELBO(K, credit="global", baseline=baseline), K).sum() > 1.05 * causal


def test_global_and_causal_credit_agree_on_a_plate_of_steps() -> None:
    case = CASES["alignment-variational"]()
    causal, total = (variance(case, ScoreFunctionELBO(credit=credit), 1) for credit in ("causal", "global"))
    torch.testing.assert_close(causal, total, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", ["leave-one-out", "soft-attention"])
def test_baselines_lower_the_variance(make: str) -> None:
    case = cases.alignment(batch=cases.alignment_batch((2,), (2,)))
    plain = variance(case, ScoreFunctionELBO(2), 2).sum()
    assert variance(case, ScoreFunctionELBO(2, baseline=make), 2).sum() < plain


def crooked(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return module.eval()


@pytest.mark.parametrize(
    ("objective", "particles"),
    [
        (ScoreFunctionELBO(), 1),
        (ScoreFunctionELBO(credit="global"), 1),
        (ScoreFunctionELBO(2, baseline="leave-one-out"), 2),
        (ScoreFunctionELBO(baseline=crooked(LearnedBaseline())), 1),
        (TraceGraph(), 1),
    ],
    ids=["causal", "global", "leave-one-out", "learned", "tracegraph"],
)
def test_a_discrete_latent_beside_a_reparameterised_one(
    objective: SurrogateObjective, particles: int
) -> None:
    """E over z by enumeration and over x by Gauss and Hermite, exact for a quadratic."""
    model, guide, args = cases.mixed()
    noise = torch.tensor([-(3**0.5), 0.0, 3**0.5], dtype=torch.float64)
    weight = torch.tensor([1 / 6, 2 / 3, 1 / 6], dtype=torch.float64)

    def joint(z: Tensor, x: Tensor) -> Tensor:
        log_p = model.logits.log_softmax(-1)[z] + dist.Normal(model.mean[z], model.log_sd.exp()[z]).log_prob(
            x
        )
        log_p = log_p + dist.Normal(model.slope[z] * x, 1.0).log_prob(args[0])
        return log_p - log_q(z) - dist.Normal(guide.mean[z], guide.log_sd.exp()[z]).log_prob(x)

    def log_q(z: Tensor) -> Tensor:
        return guide.logits.log_softmax(-1)[z]

    z, e = (index.flatten() for index in torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
    x = guide.mean[z] + guide.log_sd.exp()[z] * noise[e]
    exact = (log_q(z).exp() * weight[e] * joint(z, x)).sum()

    bound = surrogate = torch.zeros(())
    shape = (1,) if particles == 1 else (particles, 1)
    for chosen in torch.cartesian_prod(*[torch.arange(6)] * particles).reshape(-1, particles):
        probability = (log_q(z).exp() * weight[e])[chosen].prod().detach()
        eps = noise[e[chosen]].reshape(shape)
        values = {"z": z[chosen].reshape(shape), "x": lambda fn, eps=eps: fn.loc + fn.scale * eps}
        with oracles.Force(values):
            estimate = objective.estimate(model, guide, *args)
        bound = bound + probability * estimate.bound.sum()
        surrogate = surrogate + probability * estimate.surrogate
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for program in (model, guide):
        parameters = list(program.parameters())
        expected = oracles.flat_gradient(exact, parameters)
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)
