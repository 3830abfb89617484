"""Schedules count what is trained, and nothing else; a warm-up trains the weighed bound, exactly."""

from collections.abc import Callable
from math import log
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import CASES, Case
from inference import relaxed_cases
from inference.relaxed_cases import gumbel, uniforms
from objective_settings import half_trained, nvil, reinforce, rloo
from pyro.infer import SVI
from pyro.optim import SGD
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence

from hardpp.errors import UsageError
from hardpp.inference.control.baselines import LearnedBaseline
from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp, TemperatureSchedule
from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.exact import EnumeratedELBO
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.relaxed import RelaxedObjective
from hardpp.inference.score_function import ScoreFunctionELBO

CLOSE = {"rtol": 0, "atol": 1e-9}

# --- the count --------------------------------------------------------------------------------------


def test_the_temperature_decays_exponentially_and_then_stays() -> None:
    schedule, found = TemperatureSchedule(2.0, 0.5, 4), []
    for _ in range(6):
        found.append(float(schedule()))
        schedule.advance()
    assert found == pytest.approx([2.0, 2**0.5, 1.0, 0.5**0.5, 0.5, 0.5])


def test_the_kl_weight_rises_linearly_and_then_stays() -> None:
    weight, found = KLWarmUp(4), []
    for _ in range(6):
        found.append(float(weight()))
        weight.advance()
    assert found == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    weight.estimates.fill_(1)
    with torch.no_grad():
        assert weight() == 1
    assert weight() == 0.25
    assert weight.eval()() == 1


def test_the_entropy_bonus_is_held_falls_linearly_and_then_stays() -> None:
    bonus, found = EntropyBonus(1.0, 0.2, hold=2, steps=6), []
    for _ in range(8):
        found.append(float(bonus()))
        bonus.advance()
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
    with torch.no_grad():
        assert bonus() == 0
    assert bonus.eval()() == 0
    for steps in (0, -1):
        with pytest.raises(UsageError, match=f"a schedule takes at least 1 step, not {steps}"):
            KLWarmUp(steps)
    with pytest.raises(UsageError, match="weights of 0 to 1e"):
        EntropyBonus(1.0, -0.1)
    with pytest.raises(UsageError, match="held for 0 steps or more and below 5"):
        EntropyBonus(hold=5, steps=5)


def count(objective: Any) -> list[int]:
    return [int(part.estimates) for part in (objective.schedule, objective.kl_weight)]


def both_schedules() -> GumbelSoftmax:
    return GumbelSoftmax(
        2, temperature=2.0, final_temperature=0.5, anneal_steps=4, kl=KLWarmUp(8), max_plate_nesting=1
    )


def test_only_training_estimates_count_and_each_once() -> None:
    case, objective = CASES["chain"](), both_schedules()
    module = objective(case.model, case.guide)
    module(*case.args).backward()
    assert count(objective) == [1, 1]
    with torch.no_grad():
        module(*case.args)
    objective.loss(case.model, case.guide, *case.args)
    module.eval()
    module(*case.args)
    assert count(objective) == [1, 1]
    module.train()
    with pyro.settings.context(module_local_params=False):
        svi = SVI(case.model, case.guide, SGD({"lr": 0.1}), loss=objective)
        svi.step(*case.args)
        svi.evaluate_loss(*case.args)
    assert count(objective) == [2, 2]
    objective.estimate(case.model, case.guide, *case.args)
    assert count(objective) == [3, 3]


@pytest.mark.parametrize(
    "make",
    [
        both_schedules,
        lambda: nvil(2, kl=KLWarmUp(5), max_plate_nesting=1),  # to guess it would take a draw
        lambda: ImplicitDirichlet(2, kl=KLWarmUp(5), max_plate_nesting=1),
    ],
    ids=["gumbel", "nvil", "dirichlet"],
)
def test_a_run_that_resumes_goes_on_bit_for_bit(make: Callable[[], SurrogateObjective]) -> None:
    case = cases.chain((3, 1))

    def step(objective: SurrogateObjective) -> Tensor:
        torch.manual_seed(1)
        loss = objective(case.model, case.guide)(*case.args)
        return oracles.flat_gradient(loss, [*case.of_model, *case.of_guide])

    going_on, other = make(), make()
    for _ in range(2):
        step(going_on)
    state = {k: v.clone() for k, v in going_on(case.model, case.guide).state_dict().items()}
    other(case.model, case.guide).load_state_dict(state)
    found = step(other)
    assert torch.equal(found, step(going_on))
    assert not torch.equal(found, step(going_on))  # the weight has risen


def test_without_a_warm_up_nothing_is_counted_or_saved() -> None:
    case = CASES["chain"]()
    for objective in (ScoreFunctionELBO(), GumbelSoftmax(), ImplicitDirichlet()):
        saved = objective(case.model, case.guide).state_dict()
        assert all(name.startswith(("model.", "guide.")) for name in saved)


# --- the weighed bound ------------------------------------------------------------------------------


def log_prior(case: Case, values: oracles.Values) -> Tensor:
    """log p(z), (C, B): the joint with an emission that says every symbol with the same probability."""
    model, guide = case.model, case.guide
    if isinstance(model, cases.Chain):
        flat = torch.zeros_like(model.emission)
        joint, _ = oracles.chain(model.transition, flat, guide.table, *case.args, values)
        return joint + case.args[1].sum(-1) * log(flat.shape[-1])
    if isinstance(model, cases.History):
        flat = torch.zeros_like(model.emission)
        joint, _ = oracles.history(model.prior, flat, guide.prior, *case.args, values)
        return joint + len(flat) * log(flat.shape[-1])
    if isinstance(model, cases.TwoSupports):
        flat = torch.zeros_like(model.emission)
        guides = [guide.first, guide.second]
        joint, _ = oracles.two_supports(model.first, model.second, flat, guides, *case.args, values)
        return joint + log(flat.shape[-1])
    (batch,) = case.args
    prior, likelihood, _, _ = oracles.alignment_tables(model, batch)
    joint, _ = oracles.alignment(prior, torch.zeros_like(likelihood), prior, batch.target_mask, values)
    return joint


def weighed_bound(case: Case, beta: float) -> Tensor:
    """E_q[log p(y | z) + beta (log p(z) - log q(z))]."""
    values = oracles.tuples(case.twin.latents)
    log_p, log_q = case.twin.joint(values)
    prior = log_prior(case, values)
    f = log_p - prior + beta * (prior - log_q)
    return (log_q.sum(-1, keepdim=True).exp() * f).sum()


def check_weighed(case: Case, objective: ScoreFunctionELBO, beta: float) -> None:
    """After a quarter of a warm-up, or none or all of it; the bound is never weighed."""
    assert objective.kl_weight is not None

    def run() -> tuple[Tensor, Tensor]:
        objective.kl_weight.estimates.fill_(int(beta * objective.kl_weight.steps))
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(case.twin, objective.num_particles, run)
    torch.testing.assert_close(bound, oracles.bound_per_datum(case.twin).detach(), **CLOSE)
    parameters = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(weighed_bound(case, beta), parameters)
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)
    plain = oracles.flat_gradient(weighed_bound(case, 1.0), parameters)
    if beta < 1 and case.of_guide:  # where the prior is the guide its ratio to itself is nothing
        assert (expected - plain).abs().max() > 1e-2


def frozen(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return module.eval()


BASELINES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "leave-one-out": lambda: "leave-one-out",
    "soft-attention": lambda: "soft-attention",
    "temporal": lambda: "temporal",
    "learned": lambda: frozen(LearnedBaseline()),
}


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", CASES)
def test_a_warm_up_trains_the_weighed_bound(name: str, credit: str, beta: float) -> None:
    check_weighed(CASES[name](), ScoreFunctionELBO(credit=credit, kl=KLWarmUp(8)), beta)


@pytest.mark.slow
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("name", ["chain-ragged", "alignment-variational", "alignment-prior"])
def test_a_warm_up_with_every_baseline(name: str, baseline: str) -> None:
    objective = ScoreFunctionELBO(2, baseline=BASELINES[baseline](), kl=KLWarmUp(8))
    check_weighed(CASES[name](), objective, 0.25)


def test_in_evaluation_mode_the_bound_itself_is_differentiated() -> None:
    case, objective = CASES["chain"](), ScoreFunctionELBO(kl=KLWarmUp(8))
    objective(case.model, case.guide).eval()
    run = lambda: (objective.estimate(case.model, case.guide, *case.args).surrogate,)  # noqa: E731
    (surrogate,) = oracles.expectation(case.twin, 1, run)
    expected = oracles.flat_gradient(weighed_bound(case, 1.0), case.of_guide)
    torch.testing.assert_close(oracles.flat_gradient(surrogate, case.of_guide), expected, **CLOSE)


def test_a_reparameterised_latent_is_weighed_too() -> None:
    """Beside a discrete one, whose score has f for its return: E over both by nodes that are exact."""
    model, guide, args = cases.mixed()
    root = 3**0.5
    noise, weight = torch.tensor([-root, 0.0, root]).double(), torch.tensor([1 / 6, 2 / 3, 1 / 6]).double()
    parameters, objective = [*model.parameters(), *guide.parameters()], ScoreFunctionELBO(kl=KLWarmUp(4))
    z, e = (index.flatten() for index in torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
    x = guide.mean[z] + guide.log_sd.exp()[z] * noise[e]
    prior = model.logits.log_softmax(-1)[z] + dist.Normal(model.mean[z], model.log_sd.exp()[z]).log_prob(x)
    log_q = guide.logits.log_softmax(-1)[z]
    both = log_q + dist.Normal(guide.mean[z], guide.log_sd.exp()[z]).log_prob(x)
    likelihood = dist.Normal(model.slope[z] * x, 1.0).log_prob(args[0])
    probability = log_q.exp() * weight[e]
    exact = (probability * (likelihood + 0.25 * (prior - both))).sum()
    surrogate = torch.zeros(())
    for i in range(6):
        values = {"z": z[i : i + 1], "x": lambda fn, eps=noise[e[i]]: fn.loc + fn.scale * eps}
        objective.kl_weight.estimates.fill_(1)
        with oracles.Force(values):
            surrogate = (
                surrogate + probability[i].detach() * objective.estimate(model, guide, *args).surrogate
            )
    expected = oracles.flat_gradient(exact, parameters)
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_prior_of_a_latent_stands_where_the_model_draws_it(order: tuple[str, str]) -> None:
    """So that the weighed return of a latent drawn before it in the guide has it, and of a later one not."""
    logits = {"a": torch.tensor([0.3, -0.2]).double(), "b": torch.tensor([1.0, 0.5]).double()}

    def program(names: tuple[str, str]) -> Callable[[], None]:
        def run() -> None:
            with pyro.plate("data", 1, dim=-1):
                for name in names:
                    pyro.sample(name, dist.Categorical(logits=logits[name]))

        return run

    table = ScoreFunctionELBO().weight_table(program(order), program(("a", "b")))
    torch.testing.assert_close(table.log_prior, table.log_p, rtol=0, atol=0)  # there is nothing else in it
    assert (table.log_prior[0, 0] == 0).tolist() == [True, order == ("b", "a"), False]


def test_what_is_impossible_stays_so_at_weight_zero() -> None:
    ratio = torch.tensor([-torch.inf, 0.5, 2.0], requires_grad=True)
    bound = torch.tensor([-torch.inf, 1.0, 2.0])
    found = KLWarmUp(4).weighed(bound, ratio)
    assert found.tolist() == [-torch.inf, 0.5, 0.0]
    (gradient,) = torch.autograd.grad(found[1:].sum(), ratio)
    assert gradient.tolist() == [0.0, -1.0, -1.0]


# --- relaxations ------------------------------------------------------------------------------------


def kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_q.exp() * (log_q - log_p)).sum()


def softmax_of_noise(log_q: Tensor, u: Tensor) -> Tensor:
    return ((log_q + gumbel(u)) / 0.7).softmax(-1)


def moved_gammas(log_q: Tensor, u: Tensor) -> Tensor:
    alpha = 4 * log_q.exp()
    gammas = u + torch._standard_gamma_grad(alpha.detach(), u) * (alpha - alpha.detach())
    return gammas / gammas.sum()


def dirichlet_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    return kl_divergence(Dirichlet(4 * log_q.exp()), Dirichlet(4 * log_p.exp()))


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(
    ("make", "weigh", "diverge"),
    [
        (lambda: GumbelSoftmax(2, temperature=0.7, kl=KLWarmUp(8)), softmax_of_noise, kl),
        (lambda: ImplicitDirichlet(2, total=4.0, kl=KLWarmUp(8)), moved_gammas, dirichlet_kl),
    ],
    ids=["gumbel", "dirichlet"],
)
@pytest.mark.parametrize("program", cases.TAKES_RELAXED)
def test_a_warm_up_of_relaxed_draws(
    program: str,
    make: Callable[[], RelaxedObjective],
    weigh: relaxed_cases.Weigh,
    diverge: relaxed_cases.Diverge,
    beta: float,
) -> None:
    case, objective = CASES[program](), make()
    us = uniforms(case, 2)
    assert objective.kl_weight is not None
    objective.kl_weight.estimates.fill_(int(8 * beta))
    value, gradient = relaxed_cases.evaluate(objective, case, us)
    plain = relaxed_cases.by_hand(case, us, weigh, diverge)
    torch.testing.assert_close(value, plain.detach(), **CLOSE)
    weighed = relaxed_cases.by_hand(case, us, weigh, lambda q, p: beta * diverge(q, p))
    expected = oracles.flat_gradient(weighed.sum(), relaxed_cases.parameters(case))
    torch.testing.assert_close(gradient, expected, **CLOSE)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("name", cases.ENUMERABLE)
def test_a_warm_up_with_the_guide_summed_out(name: str, beta: float) -> None:
    case, objective = CASES[name](), EnumeratedELBO(kl=KLWarmUp(8))
    assert objective.kl_weight is not None
    objective.kl_weight.estimates.fill_(int(8 * beta))
    estimate = objective.estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(estimate.bound, oracles.bound_per_datum(case.twin).detach(), **CLOSE)
    parameters = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(weighed_bound(case, beta), parameters)
    torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, parameters), expected, **CLOSE)
    assert objective.kl_weight.estimates == int(8 * beta) + 1


BONUSES: dict[str, tuple[int, Callable[..., ScoreFunctionELBO]]] = {
    "causal": (1, ScoreFunctionELBO),
    "reinforce": (1, reinforce),
    "rloo": (2, lambda **kw: rloo(2, **kw)),
    "temporal": (2, lambda **kw: ScoreFunctionELBO(2, baseline="temporal", **kw)),
    "learned": (1, lambda **kw: half_trained(nvil(normalize=False, **kw))),
    "warm-up": (1, lambda **kw: ScoreFunctionELBO(kl=KLWarmUp(2**60), **kw)),
}


@pytest.mark.parametrize("name", BONUSES)
def test_an_entropy_bonus_trains_bound_and_entropy(name: str) -> None:
    """The expected gradient over all draws; the bound stays without the bonus."""
    case, (particles, make) = CASES["chain-ragged"](), BONUSES[name]
    bonus = EntropyBonus(0.75, 0.1, hold=2**59, steps=2**60)
    objective = make(entropy=bonus)

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(case.twin, particles, run)
    torch.testing.assert_close(bound, oracles.bound_per_datum(case.twin).detach(), **CLOSE)
    assert bonus.estimates > 1
    _, log_q = case.twin.joint(oracles.tuples(case.twin.latents))
    entropy = -(log_q.sum(-1).exp() * log_q.sum(-1)).sum()
    elbo = oracles.bound_per_datum(case.twin).sum() if name != "warm-up" else weighed_bound(case, 0.0)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(elbo + 0.75 * entropy, parameters)
        assert expected.abs().max() > 1e-2
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)
