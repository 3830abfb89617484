"""Imitation: the gradient of E_q[log p(z)] over every draw, and of nothing else."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from oracles import flat_gradient
from programs import brute_force
from programs.catalogue import PROGRAMS
from programs.program import Given, Program
from programs.tables import C, Tables
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import SGD
from torch import Tensor

from hardpp.errors import NumericalError, UsageError
from hardpp.inference import Imitation

CLOSE = {"rtol": 0, "atol": 1e-9}
Y = torch.tensor([1, 0])
ONE_BY_ONE = {"branches", "any of them", "until a stop", "first of a plate"}
JOINT = {"factorial hidden Markov", "capture and recapture"}
LARGE = JOINT | {"three plates deep", "crossed plates", "common effect", "diamond", "kinds of latents"}
LARGE |= {"steps in another order", "halting"}


def policy(program: Program, weighed: brute_force.Weighed) -> brute_force.Target:
    """The value, and the mean gradient at fixed draws, of the model's terms of what the guide draws."""
    total = torch.zeros((), dtype=torch.float64)
    for draw, log_q in zip(weighed.draws, weighed.log_q.detach(), strict=True):
        with Given(draw):
            q = poutine.trace(program.guide).get_trace()
        p = poutine.trace(poutine.replay(program.model, trace=q)).get_trace()
        for site in brute_force.sites_of(p):
            if not site["is_observed"]:
                total = total + log_q.exp() * (brute_force.log_prob(site) * site["scale"]).sum()
    return brute_force.Target(total.detach(), flat_gradient(total, program.parameters))


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("title", [t for t in PROGRAMS if t not in LARGE])
def test_the_mean_over_all_draws_is_that_of_the_policy(title: str, K: int) -> None:
    program = PROGRAMS[title]()
    weighed = brute_force.known(PROGRAMS[title]).weighed
    one_by_one = title in ONE_BY_ONE
    objective = Imitation(K, max_plate_nesting=program.nesting, vectorize_particles=not one_by_one)
    got = brute_force.expectation(program, weighed, objective, K, one_by_one)
    expected = policy(program, weighed)
    torch.testing.assert_close(got.value, expected.value, **CLOSE)
    torch.testing.assert_close(got.gradient, expected.gradient, **CLOSE)


def test_particles_one_by_one_are_those_that_run_at_once() -> None:
    program = PROGRAMS["hidden Markov"]()
    weighed, found = brute_force.weighed(program), []
    for together in (True, False):
        objective = Imitation(2, max_plate_nesting=1, vectorize_particles=together)
        found.append(brute_force.expectation(program, weighed, objective, 2, not together))
    torch.testing.assert_close(found[0].gradient, found[1].gradient, **CLOSE)
    assert found[0].gradient.abs().max() > 1e-2


def programs(
    prior: Tensor, say: Tensor, draws: Callable[[], Any]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Two data of a class each, a symbol of each, and a penalty outside of their plate."""

    def model() -> None:
        pyro.factor("penalty", -say.square().sum())
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(prior))
            pyro.sample("y", C(say[z]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", draws())

    return model, guide


@pytest.mark.parametrize("K", [1, 3])
def test_a_guide_that_replays_is_learnt_by_heart(K: int) -> None:
    t = Tables(301)
    prior, say = t(2, 3), t(3, 2)
    lesson = torch.tensor([2, 0])
    model, guide = programs(prior, say, lambda: dist.Delta(lesson))
    estimate = Imitation(K, max_plate_nesting=1).estimate(model, guide)
    expected = prior.log_softmax(-1)[torch.arange(2), lesson]
    torch.testing.assert_close(estimate.bound, expected.detach(), **CLOSE)
    gradients = torch.autograd.grad(estimate.surrogate, [prior, say], allow_unused=True)
    torch.testing.assert_close(gradients[0], torch.autograd.grad(expected.sum(), prior)[0], **CLOSE)
    assert gradients[1] is None  # neither what is observed nor a term outside of the plate


@pytest.mark.parametrize("validation", [True, False])
def test_an_impossible_lesson_has_no_gradient_and_leaves_the_others_theirs(validation: bool) -> None:
    t = Tables(302)
    prior, say = t(2, 3), t(3, 2)
    never = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -torch.inf]]).double()
    model, guide = programs(prior + never, say, lambda: dist.Delta(torch.tensor([2, 2])))
    objective = Imitation(2, max_plate_nesting=1)
    with pyro.validation_enabled(validation):
        if validation:
            with pytest.raises(NumericalError, match="datum 1 of the batch has a bound of -inf"):
                objective.differentiable_loss(model, guide)
            return
        loss = objective.differentiable_loss(model, guide)
    loss.backward()
    assert loss == torch.inf
    assert prior.grad is not None
    assert prior.grad[0].abs().max() > 1e-2
    assert (prior.grad[1] == 0).all()


def test_what_is_masked_teaches_nothing() -> None:
    t = Tables(303)
    prior = t(2, 3)
    mask = poutine.mask(mask=torch.tensor([True, False]))

    def choices(logits: Tensor) -> None:
        with pyro.plate("data", 2), mask:
            pyro.sample("z", C(logits))

    objective = Imitation(2, max_plate_nesting=1)
    estimate = objective.estimate(lambda: choices(prior), lambda: choices(torch.zeros(2, 3)))
    (gradient,) = torch.autograd.grad(estimate.surrogate, [prior])
    assert estimate.bound[1] == 0
    assert gradient[0].abs().max() > 1e-3
    assert (gradient[1] == 0).all()


def test_a_guide_with_a_path_to_its_draws_is_not_trained() -> None:
    t = Tables(304)
    centre, at, width = t(2), t(2), t(2)

    def model() -> None:
        with pyro.plate("data", 2):
            h = pyro.sample("h", dist.Normal(centre, 1.0))
            pyro.sample("x", dist.Normal(h, 1.0), obs=torch.zeros(2).double())

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("h", dist.Normal(at, width.exp()))

    estimate = Imitation(2, max_plate_nesting=1).estimate(model, guide)
    gradients = torch.autograd.grad(estimate.surrogate, t.all, allow_unused=True)
    assert gradients[0] is not None
    assert gradients[1] is None
    assert gradients[2] is None


def test_a_batch_without_latents_teaches_nothing() -> None:
    say = Tables(305)(2)

    def model() -> None:
        with pyro.plate("data", 2):
            pyro.sample("y", C(say), obs=Y)

    objective = Imitation(max_plate_nesting=1)
    estimate = objective.estimate(model, lambda: None)
    assert (estimate.bound == 0).all()
    assert not estimate.surrogate.requires_grad
    assert SVI(model, lambda: None, SGD({"lr": 0.1}), loss=objective).step() == 0


def test_a_prior_that_is_summed_with_what_is_observed_is_refused() -> None:
    t = Tables(306)
    kind, prior, say, q = t(2), t(2, 2), t(2, 2), t(2)

    def model() -> None:
        with pyro.plate("data", 2):
            c = pyro.sample("c", C(kind), infer={"enumerate": "parallel"})
            z = pyro.sample("z", C(prior[c]))
            pyro.sample("y", C(say[z]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    with pytest.raises(UsageError, match="latent site 'z' depends on a latent that is summed out"):
        Imitation(2, max_plate_nesting=1).estimate(model, guide)
