"""Faults that programs of other people once showed, each as a test: the plates of a later batch, impossible
draws, flags that did not hold, and what one site outside of the plate of data did to all others.
"""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from oracles import flat_gradient
from programs import brute_force
from programs.handlers import factors
from programs.program import Given
from programs.tables import C, Tables
from torch import Tensor

from hardpp.errors import NumericalError
from hardpp.inference import (
    IWAE,
    OVIS,
    VIMCO,
    EntropyBonus,
    EnumeratedELBO,
    ExactMarginal,
    Hybrid,
    ReweightedWakeSleep,
    ScoreFunctionELBO,
    TrajectoryBalance,
)

SEVERAL: dict[str, Callable[..., Any]] = {
    "leave-one-out": lambda **kw: ScoreFunctionELBO(2, baseline="leave-one-out", **kw),
    "learned": lambda **kw: ScoreFunctionELBO(2, baseline="learned", **kw),
    "batch": lambda **kw: ScoreFunctionELBO(2, baseline="batch", **kw),
    "iwae": lambda **kw: IWAE(2, **kw),
    "vimco": lambda **kw: VIMCO(2, **kw),
    "vimco, geometric": lambda **kw: VIMCO(2, control="geometric", **kw),
    "ovis": lambda **kw: OVIS(2, **kw),
    "rws": lambda **kw: ReweightedWakeSleep(2, **kw),
    "trajectory balance": lambda **kw: TrajectoryBalance(2, **kw),
}
THREE = torch.tensor([0.3, -0.2, 0.5]).double()
MEANS = torch.tensor([-1.0, 0.0, 1.0]).double()
DATA = torch.tensor([0.3, -1.0, 2.0, 0.7]).double()


def of_length(words: int) -> None:
    """Four data; a plate of words within them only where there are words."""
    with pyro.plate("data", 4, dim=-1):
        z = pyro.sample("z", C(THREE))
        pyro.sample("x", dist.Normal(MEANS[z], 1.0), obs=DATA)
        if words:
            with pyro.plate("words", words, dim=-2):
                pyro.sample("y", dist.Normal(MEANS[z], 1.0), obs=torch.zeros(words, 4).double())


def classes(words: int) -> None:
    with pyro.plate("data", 4, dim=-1):
        pyro.sample("z", C(THREE))


@pytest.mark.parametrize(
    "make", [ScoreFunctionELBO, lambda: IWAE(1), SEVERAL["leave-one-out"], ExactMarginal, EnumeratedELBO]
)
@pytest.mark.parametrize("words", [3, 4, 5])
def test_a_plate_that_comes_with_a_later_batch(make: Callable[..., Any], words: int) -> None:
    """Four words are as many as the data: shapes alone would not tell."""
    later, fresh = make(), make()
    later.estimate(of_length, classes, 0)
    bounds = []
    for objective in (later, fresh):
        pyro.set_rng_seed(1)
        bounds.append(objective.estimate(of_length, classes, words).bound)
    assert bounds[0].shape == (4,)
    torch.testing.assert_close(*bounds, rtol=0, atol=1e-12)


NEVER = torch.tensor([[0.0, 0.0], [0.0, -torch.inf], [0.0, -torch.inf]]).double()


def impossible(
    validation: bool, make: Callable[..., Any], drawn: list[list[int]]
) -> tuple[float, list[Tensor]]:
    """The loss and gradients where the model finds all draws of the second datum impossible."""
    t = Tables(131)
    prior, q, say = t(3), t(2, 3), t(3, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(prior))
            pyro.sample("y", C((say + NEVER)[z]), obs=torch.tensor([0, 1]))

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    with pyro.validation_enabled(validation), Given({"z": torch.tensor(drawn)}):
        loss = make(max_plate_nesting=1).differentiable_loss(model, guide)
        loss.backward()
    return loss.item(), [each.grad for each in (prior, q, say)]


@pytest.mark.parametrize("name", SEVERAL)
def test_an_impossible_datum_has_no_gradient_and_leaves_the_others_theirs(name: str) -> None:
    loss, gradients = impossible(False, SEVERAL[name], [[1, 1], [0, 2]])
    assert loss == torch.inf
    assert all(each.isfinite().all() for each in gradients)
    assert gradients[1][0].abs().max() > 1e-3
    assert gradients[1][1].abs().max() == 0


@pytest.mark.parametrize("name", SEVERAL)
def test_an_impossible_datum_is_named(name: str) -> None:
    with pytest.raises(NumericalError, match="datum 1 of the batch has a bound of -inf"):
        impossible(True, SEVERAL[name], [[1, 1], [0, 2]])


@pytest.mark.parametrize(
    ("schedule", "unbiased"), [(EntropyBonus(0.5), False), (EntropyBonus(0.5, 0.0, steps=2), True)]
)
def test_unbiased_is_what_is_left_of_a_schedule_that_is_over(schedule: EntropyBonus, unbiased: bool) -> None:
    program = factors()
    weighed = brute_force.weighed(program)
    objective = ScoreFunctionELBO(entropy=schedule, max_plate_nesting=1)
    for _ in range(3):
        objective._advance()
    got = brute_force.expectation(program, weighed, objective, 1)
    off = (got.gradient - brute_force.bounds(program, weighed)["elbo"].gradient).abs().max()
    assert objective.unbiased == unbiased == bool(off < 1e-9)


@pytest.mark.parametrize(
    "objective",
    [
        lambda: ScoreFunctionELBO(max_plate_nesting=1),
        lambda: ScoreFunctionELBO(credit="global", baseline="batch", max_plate_nesting=1),
        lambda: IWAE(1, max_plate_nesting=1),
    ],
)
def test_a_factor_of_the_guide_that_stands_for_what_it_drew(objective: Callable[[], Any]) -> None:
    """`has_rsample=False`: it is scored, and what comes before and after it is credited with it."""
    t = Tables(133)
    p, say, q = t(3), t(3, 2), t(2, 3)
    order, y = torch.tensor([2, 0, 1]), torch.tensor([1, 0])

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=y)

    def guide_at(h: Tensor) -> Callable[[], None]:
        def guide() -> None:
            with pyro.plate("data", 2):
                pyro.factor("hidden", C(q).log_prob(h), has_rsample=False)
                pyro.sample("z", dist.Delta(order[h]))

        return guide

    log_q, rows = q.log_softmax(-1), torch.arange(2)
    gain = p.log_softmax(-1)[order] + say.log_softmax(-1)[order][:, y].T - log_q
    bound, surrogate, estimator = (log_q.exp() * gain).sum(), torch.zeros(()), objective()
    for h in torch.cartesian_prod(torch.arange(3), torch.arange(3)):
        estimate = estimator.estimate(model, guide_at(h))
        surrogate = surrogate + log_q.detach()[rows, h].sum().exp() * estimate.surrogate
    found, expected = (flat_gradient(each, t.all) for each in (surrogate, bound))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


# --- a site outside of the plate of data -------------------------------------------------------------


def tied(scale: bool) -> tuple[Callable[[], None], Callable[[], None], Tensor, Callable[[], Tensor]]:
    """Two yes-or-no latents, and outside of their plate an observation of how many are yes.

    Returns model, guide, the guide's logits, and the bound as a function of nothing.
    """
    t = Tables(132)
    q, say = t(2), t(3, 3)
    subsample = torch.arange(2) if scale else None

    def model() -> None:
        with pyro.plate("data", 6 if scale else 2, subsample=subsample):
            z = pyro.sample("z", dist.Bernoulli(torch.full((), 0.5).double()))
        pyro.sample("y", C(say[z.sum(-1, keepdim=True).long()].squeeze(-2)), obs=torch.tensor(1))

    def guide() -> None:
        with pyro.plate("data", 6 if scale else 2, subsample=subsample):
            pyro.sample("z", dist.Bernoulli(logits=q))

    def bound() -> Tensor:
        total = torch.zeros(())
        for a in (0, 1):
            for b in (0, 1):
                logs = torch.nn.functional.logsigmoid(torch.stack([q, -q]))
                log_q = torch.stack([logs[1 - a, 0], logs[1 - b, 1]]).sum()
                prior = 2 * torch.tensor(0.5).double().log()
                gain = (3 if scale else 1) * (prior - log_q) + say.log_softmax(-1)[a + b, 1]
                total = total + log_q.exp() * gain
        return total

    return model, guide, q, bound


ONE = {
    "elbo": lambda: ScoreFunctionELBO(max_plate_nesting=1),
    "iwae": lambda: IWAE(1, max_plate_nesting=1),
}


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("elbo", False),
        ("elbo", True),
        ("iwae", False),
    ],
)
def test_one_particle_is_credited_with_what_is_outside_of_its_plate(name: str, scale: bool) -> None:
    model, guide, q, bound = tied(scale)
    expected = flat_gradient(bound(), [q])
    surrogate = torch.zeros(())
    objective = ONE[name]()
    for a in (0.0, 1.0):
        for b in (0.0, 1.0):
            draw = torch.tensor([a, b]).double()
            probability = dist.Bernoulli(logits=q.detach()).log_prob(draw).sum().exp()
            with Given({"z": draw}):
                surrogate = surrogate + probability * objective.estimate(model, guide).surrogate
    torch.testing.assert_close(flat_gradient(surrogate, [q]), expected, rtol=0, atol=1e-9)


def test_hybrid_rewards_an_answer_outside_of_the_plate() -> None:
    model, guide, q, _ = tied(False)
    estimate = Hybrid(baseline=None, max_plate_nesting=1).estimate(model, guide)
    assert flat_gradient(estimate.surrogate, [q]).isfinite().all()
