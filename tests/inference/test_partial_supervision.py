"""Guides that replay: some sequences of glimpses were recorded, and all others are drawn.

Every sequence of the drawn data and every pair of particles is summed over, so that gradients are exact.
Shapes: B data, K particles, G glimpses, C tuples.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import saccaders
import torch
from glimpses import by_hand, classifier, guide_of, images, log_label, twin
from objective_settings import half_warm, nvil, reinforce, rloo
from oracles import Force, Values, flat_gradient, tuples
from pyro import poutine, validation_enabled
from torch import Tensor, nn

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.guides.replay import Known, Replay
from hardpp.inference.control.schedules import KLWarmUp, Supervision
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.imitation import Imitation
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.ovis import OVIS
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.inference.weights.proposals import Proposal
from hardpp.types import ImageBatch

CLOSE = {"rtol": 0, "atol": 1e-9}
LESSON = torch.tensor([[3, 0], [1, 2]])  # (B, G)

each_guide = pytest.mark.parametrize("guide", ["prior", "informed"])


def replay(base: nn.Module, *recorded: bool) -> Replay:
    """The lessons of those data."""
    known = {sites.LOCATION: Known(LESSON[: len(recorded)], torch.tensor(recorded))}
    return Replay(base, lambda batch: known)


def parameters_of(*programs: nn.Module) -> list[nn.Parameter]:
    return list(dict.fromkeys(p for program in programs for p in program.parameters()))


def lesson(model: Any, batch: ImageBatch, b: int) -> tuple[Tensor, Tensor]:
    """log p of the recorded sequence of a datum, and of its label from there."""
    chosen, states = by_hand(model, batch, b, LESSON[b])
    return chosen.sum(), log_label(model, states, batch.target[b])


class Half:
    """Two data: of the first the sequence was recorded, of the second all sequences are summed over."""

    def __init__(self, guide: str):
        batch, self.model = images(2), classifier()
        places = torch.cartesian_prod(*[torch.arange(4)] * 2).unsqueeze(1).expand(16, 2, 2)
        with torch.no_grad():  # the answer depends on the places
            self.model.readout.bias -= self.model.labels(batch.source, places)[:, 1].mean((0, 1))
        labels = self.model.labels(batch.source, places)[:, 1, -1].argmax(-1)
        self.batch = batch._replace(target=torch.stack([batch.target[0], labels[-1]]))
        self.base = guide_of(guide, self.model)
        self.guide = replay(self.base, True, False)
        self.parameters = parameters_of(self.model, self.base)
        of = twin(self.model, self.base, self.batch)
        every = tuples(of.latents)[sites.LOCATION]
        self.values = every[(every[:, 0] == LESSON[0]).all(-1)]  # (C, B, G)
        log_p, log_q = of.joint({sites.LOCATION: self.values})
        self.log_p, self.log_q = log_p[:, 1], log_q[:, 1]  # (C,) of the second datum
        self.log_policy, self.log_label = lesson(self.model, self.batch, 0)

    @property
    def log_lesson(self) -> Tensor:
        """log p(y, z recorded) of the first datum."""
        return self.log_policy + self.log_label

    def over_pairs(self, function: Callable[[Tensor, Tensor, Tensor], Tensor], K: int) -> Tensor:
        """The mean of a function of log p, log q (K,) each, and of which K sequences, over their draws."""
        total = torch.zeros((), dtype=torch.float64)
        for chosen in itertools.product(range(len(self.values)), repeat=K):
            rows = list(chosen)
            share = self.log_q[rows].detach().exp().prod()
            total = total + share * function(self.log_p[rows], self.log_q[rows], torch.tensor(rows))
        return total

    def gradient(self, objective: Any) -> Tensor:
        """The exact mean of the gradient that an objective estimates."""
        K, total = objective.num_particles, 0.0
        for chosen in itertools.combinations_with_replacement(range(len(self.values)), K):
            orders = math.factorial(K)
            for each in set(chosen):
                orders //= math.factorial(chosen.count(each))
            share = orders * self.log_q[list(chosen)].detach().exp().prod()
            value = self.values[chosen[0]] if K == 1 else self.values[list(chosen)]
            looked_over = validation_enabled(not any(chosen))  # once
            with Force({sites.LOCATION: lambda fn, value=value: value}), looked_over:
                estimate = objective.estimate(self.model, self.guide, self.batch)
            total = total + share * flat_gradient(estimate.surrogate, self.parameters)
        return total

    def check(self, objective: Any, *expected: Tensor) -> None:
        found, wanted = self.gradient(objective), flat_gradient(sum(expected), self.parameters)
        assert wanted.abs().max() > 1e-2
        torch.testing.assert_close(found, wanted, **CLOSE)


half_of = functools.cache(Half)

SCORE_FUNCTION: dict[str, Callable[[], Any]] = {
    "reinforce": reinforce,
    "elbo": ScoreFunctionELBO,
    "rloo": lambda: rloo(2),
    "learned": lambda: _still(nvil(normalize=False)),
    "average": lambda: _still(reinforce(baseline="average")),
    "batch": lambda: ScoreFunctionELBO(2, baseline="batch"),
}


def _still(objective: Any) -> Any:
    """What a baseline remembers is then the same for all draws."""
    objective.baseline.eval()
    return objective


@each_guide
@pytest.mark.parametrize("name", SCORE_FUNCTION)
def test_the_elbo_of_what_is_drawn_and_the_likelihood_of_what_was_recorded(name: str, guide: str) -> None:
    half = half_of(guide)
    elbo = (half.log_q.exp() * (half.log_p - half.log_q)).sum()
    half.check(SCORE_FUNCTION[name](), elbo, half.log_lesson)


@each_guide
@pytest.mark.parametrize("name", ["vimco", "iwae"])
def test_the_importance_weighted_bound_likewise(name: str, guide: str) -> None:
    half = half_of(guide)
    pairs = torch.cartesian_prod(*[torch.arange(len(half.values))] * 2)
    bounds = (half.log_p - half.log_q)[pairs].logsumexp(1) - math.log(2)
    bound = (half.log_q[pairs].sum(1).exp() * bounds).sum()
    half.check({"vimco": VIMCO(2), "iwae": IWAE(2)}[name], bound, half.log_lesson)


@each_guide
@pytest.mark.parametrize("control_variates", [False, True])
def test_wake_sleep_likewise(guide: str, control_variates: bool) -> None:
    half = half_of(guide)

    def wake(log_p: Tensor, log_q: Tensor, rows: Tensor) -> Tensor:
        weights = (log_p - log_q).detach().softmax(0)
        theta, phi = (weights * log_p).sum(), (weights * log_q).sum()
        if control_variates:
            log_prior = half_prior[rows]
            towards = (log_prior - log_q).detach().softmax(0)
            theta, phi = theta - (towards * log_prior).sum(), phi - log_q.mean()
        return theta + phi

    each = [by_hand(half.model, half.batch, 1, value[1])[0].sum() for value in half.values]
    half_prior = torch.stack(each)
    objective = ReweightedWakeSleep(2, control_variates=control_variates)
    half.check(objective, half.over_pairs(wake, 2), half.log_lesson)


@each_guide
def test_rewards_are_for_what_is_drawn(guide: str) -> None:
    half = half_of(guide)
    states = [by_hand(half.model, half.batch, 1, value[1])[1] for value in half.values]
    right = [half.model.readout(s)[-1].argmax() == half.batch.target[1] for s in states]
    reward = torch.stack(right).double()
    assert 0 < reward.sum() < len(reward)
    label = torch.stack([log_label(half.model, s, half.batch.target[1]) for s in states])
    said = half.log_p if guide == "informed" else label  # a prior's own score has no mean
    surrogate = (half.log_q.detach().exp() * (said + reward * half.log_q)).sum()
    half.check(Hybrid(2, baseline=None), surrogate, half.log_lesson)


def test_a_policy_imitates_what_was_recorded_and_not_itself() -> None:
    half = half_of("prior")
    for value in (half.values[0], half.values[3]):
        with Force({sites.LOCATION: lambda fn, value=value: value}):
            estimate = Imitation().estimate(half.model, half.guide, half.batch)
        found = flat_gradient(estimate.surrogate, half.parameters)
        torch.testing.assert_close(found, flat_gradient(half.log_policy, half.parameters), **CLOSE)
        torch.testing.assert_close(estimate.bound[0], half.log_policy.detach(), **CLOSE)
        drawn, _ = by_hand(half.model, half.batch, 1, value[1])
        torch.testing.assert_close(estimate.bound[1], drawn.sum().detach(), **CLOSE)


def test_a_policy_does_not_imitate_itself() -> None:
    """A batch with nothing on record has a gradient, of zero: optimisers want one."""
    batch, model = images(2), classifier()
    loss = Imitation().differentiable_loss(model, Replay(Prior(model), lambda batch: None), batch)
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all((gradient == 0).all() for gradient in gradients)


def test_a_policy_imitates_another_guide_as_well() -> None:
    half = half_of("informed")
    drawn = torch.stack([by_hand(half.model, half.batch, 1, value[1])[0].sum() for value in half.values])
    half.check(Imitation(), (half.log_q.detach().exp() * drawn).sum(), half.log_policy)


# --- all or nothing ---------------------------------------------------------------------------------

OBJECTIVES: dict[str, Callable[..., Any]] = {
    **{name: lambda make=make, **more: make(**more) for name, make in [("elbo", ScoreFunctionELBO)]},
    "elbo-two": functools.partial(ScoreFunctionELBO, 2),
    "reinforce": functools.partial(reinforce, 2),
    "rloo": functools.partial(rloo, 2),
    "nvil": functools.partial(nvil, 2),
    "average": functools.partial(ScoreFunctionELBO, 2, baseline="average"),
    "batch": functools.partial(ScoreFunctionELBO, 2, baseline="batch"),
    "warm-up": lambda **more: half_warm(ScoreFunctionELBO(2, kl=KLWarmUp(2**60), **more)),
    "hybrid": functools.partial(Hybrid, 2),
    "iwae": functools.partial(IWAE, 2),
    "iwae-prefix": functools.partial(IWAE, 3, control="prefix"),
    "vimco": functools.partial(VIMCO, 2),
    "vimco-geometric": functools.partial(VIMCO, 3, control="geometric"),
    "ovis": functools.partial(OVIS, 3),
    "rws": functools.partial(ReweightedWakeSleep, 2),
    "rws-plain": functools.partial(ReweightedWakeSleep, 2, control_variates=False),
    "rws-mixture": functools.partial(ReweightedWakeSleep, 2, proposal=Proposal("mixture")),
    "rws-dream": functools.partial(ReweightedWakeSleep, 2, insomnia=0.0),
    "trajectory-balance": functools.partial(TrajectoryBalance, 2),
    "trajectory-balance-learned": functools.partial(TrajectoryBalance, 2, log_partition="learned"),
}

each_objective = pytest.mark.parametrize("name", OBJECTIVES)


@each_guide
@each_objective
def test_everything_recorded_is_supervised_maximum_likelihood(name: str, guide: str) -> None:
    batch, model = images(2), classifier()
    base = guide_of(guide, model)
    estimate = OBJECTIVES[name]().estimate(model, replay(base, True, True), batch)
    of_lessons = torch.stack([sum(lesson(model, batch, b)) for b in range(2)])
    torch.testing.assert_close(estimate.bound, of_lessons.detach(), **CLOSE)
    parameters = parameters_of(model, base)
    expected = flat_gradient(of_lessons, parameters)
    torch.testing.assert_close(flat_gradient(estimate.surrogate, parameters), expected, **CLOSE)


@each_guide
@each_objective
@pytest.mark.parametrize("nothing", [None, {}])
def test_with_nothing_recorded_it_is_the_plain_objective_to_the_bit(
    name: str, guide: str, nothing: Any
) -> None:
    batch, model = images(2), classifier()
    base, found = guide_of(guide, model), []
    for q in (base, Replay(base, lambda batch: nothing)):
        torch.manual_seed(3)
        objective = OBJECTIVES[name](supervision=Supervision(5.0) if q is not base else None)
        estimate = objective.estimate(model, q, batch)
        found.append((estimate.bound, flat_gradient(estimate.surrogate, parameters_of(model, base))))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@each_guide
@each_objective
def test_a_batch_is_a_sum_of_what_was_recorded_and_what_is_drawn(name: str, guide: str) -> None:
    """What was recorded of one datum changes nothing about another: no baseline has heard of its return."""
    batch, model = images(2), classifier()
    base = guide_of(guide, model)
    only = batch._replace(source=batch.source[1:], target=batch.target[1:])
    parameters, found = parameters_of(model, base), []
    K = OBJECTIVES[name]().num_particles
    drawn = torch.stack([LESSON, LESSON.flip(1), 3 - LESSON])[:K]
    for q, data in ((replay(base, True, False), batch), (base, only)):
        value = drawn if data is batch else drawn[:, 1:]
        value = value.clone() if K > 1 else value[0]
        if data is batch:
            value[..., 0, :] = LESSON[0]
        torch.manual_seed(0)
        with Force({sites.LOCATION: lambda fn, value=value: value}):
            estimate = OBJECTIVES[name](**({} if name != "rws-dream" else {"train_guide": False})).estimate(
                model, q, data
            )
        found.append((estimate.bound[-1], flat_gradient(estimate.surrogate, parameters)))
    own = flat_gradient(sum(lesson(model, batch, 0)), parameters)
    torch.testing.assert_close(found[0][0], found[1][0], **CLOSE)
    torch.testing.assert_close(found[0][1], found[1][1] + own, **CLOSE)


def test_particles_one_by_one_are_those_that_run_at_once() -> None:
    batch, model = images(2), classifier()
    drawn = torch.stack([LESSON, torch.stack([LESSON[0], LESSON[0]])])
    for make in (
        functools.partial(rloo, 2),
        functools.partial(ReweightedWakeSleep, 2),
        functools.partial(Imitation, 2),
    ):
        found = []
        for together in (True, False):
            values = [drawn] if together else [drawn[0], drawn[1]]
            with Force({sites.LOCATION: lambda fn, values=values: values.pop(0)}):
                objective = make(vectorize_particles=together, supervision=Supervision(3.0))
                estimate = objective.estimate(model, replay(Prior(model), True, False), batch)
            found.append(flat_gradient(estimate.surrogate, parameters_of(model)))
        torch.testing.assert_close(*found, **CLOSE)


# --- chains of sites --------------------------------------------------------------------------------


def saccades(model: Any, batch: ImageBatch, places: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """log p of the label, (B,), and of every place, of a program run at these places."""
    data = {sites.glimpse(g): place for g, place in enumerate(places, start=1)}
    trace = poutine.trace(poutine.condition(model, data=data)).get_trace(batch)
    trace.compute_log_prob()
    label = trace.nodes[sites.LABEL]["log_prob"] if sites.LABEL in trace.nodes else torch.zeros(())
    return label, [trace.nodes[name]["log_prob"] for name in data]


@pytest.mark.parametrize("name", ["elbo", "vimco"])
@pytest.mark.parametrize("guide", ["prior", "label-aware"])
def test_a_first_place_that_was_recorded(name: str, guide: str) -> None:
    """Of one image both places were recorded, of the other the first: all second ones are summed over."""
    batch, model = saccaders.images(2), saccaders.saccader(2)
    base = Prior(model) if guide == "prior" else saccaders.label_aware(model)
    first, second = torch.tensor([2, 0]), torch.tensor([1, 0])
    known = {
        sites.glimpse(1): Known(first, torch.tensor([True, True])),
        sites.glimpse(2): Known(second, torch.tensor([True, False])),
    }
    q_of = Replay(base, lambda batch: known)
    objective = ScoreFunctionELBO() if name == "elbo" else VIMCO(2)
    K, parameters = objective.num_particles, parameters_of(model, base)
    p, q = {}, {}
    for place in (1, 2, 3):
        places = [first, torch.tensor([1, place])]
        label, chosen = saccades(model, batch, places)
        p[place] = label + sum(chosen)  # (B,)
        q[place] = saccades(base.model if guide == "prior" else base, batch, places)[1][1]
    expected, total = p[1][0], torch.zeros(())
    for rows in itertools.product((1, 2, 3), repeat=K):
        share = torch.stack([q[row][1] for row in rows]).sum().exp()
        log_w = torch.stack([p[row][1] - q[row][1] for row in rows])
        expected = expected + share * (log_w.logsumexp(0) - math.log(K))
        drawn = torch.stack([torch.tensor([1, row]) for row in rows])
        values: Values = {sites.glimpse(2): drawn[0] if K == 1 else drawn}
        with Force({n: lambda fn, value=value: value for n, value in values.items()}):
            estimate = objective.estimate(model, q_of, batch)
        total = total + share.detach() * flat_gradient(estimate.surrogate, parameters)
    torch.testing.assert_close(total, flat_gradient(expected, parameters), **CLOSE)


# --- the weight -------------------------------------------------------------------------------------

WEIGHED = [*OBJECTIVES, "imitation"]


@each_guide
@pytest.mark.parametrize("name", WEIGHED)
def test_the_weight_is_of_the_mean_over_recorded_data(name: str, guide: str) -> None:
    """One of two data is recorded: lambda log pi of it stands beside the mean of both of all else."""
    half, found = half_of(guide), []
    make = functools.partial(Imitation) if name == "imitation" else OBJECTIVES[name]
    for supervision in (None, Supervision(0.75)):
        torch.manual_seed(1)
        objective = make(supervision=supervision)
        estimate = objective.estimate(half.model, half.guide, half.batch)
        found.append((estimate.bound, flat_gradient(estimate.surrogate, half.parameters)))
    policy = flat_gradient(half.log_policy, half.parameters)
    rest = (found[0][1] - policy) / 2  # the mean over both data
    torch.testing.assert_close(found[1][1] / 2, rest + 0.75 * policy, **CLOSE)
    assert torch.equal(found[0][0], found[1][0])


def test_the_authors_sum_is_a_mean_of_weight_64_times_the_share() -> None:
    """-R log pi and all else are means over 64 images; the supervised term is a sum over those 3 of them."""
    B, share = 64, 3 / 64
    batch, model = images(B), classifier()
    recorded = torch.arange(B) % 20 == 1
    recorded[61:] = False
    assert recorded.float().mean() == share
    places = LESSON.repeat(B // 2, 1)
    guide = Replay(Prior(model), lambda batch: {sites.LOCATION: Known(places, recorded)})
    found = []
    for weight in (0.0, B * share):
        torch.manual_seed(0)
        objective = ScoreFunctionELBO(supervision=Supervision(weight))
        surrogate = objective.estimate(model, guide, batch).surrogate
        found.append(flat_gradient(surrogate / B, parameters_of(model)))
    log_policy = [by_hand(model, batch, b, places[b])[0].sum() for b in recorded.nonzero().flatten().tolist()]
    expected = flat_gradient(torch.stack(log_policy).sum(), parameters_of(model))
    torch.testing.assert_close(found[1] - found[0], expected, **CLOSE)


def test_the_weight_falls_to_nothing() -> None:
    half, found = half_of("prior"), []
    policy = flat_gradient(half.log_policy, half.parameters)
    objective = ScoreFunctionELBO(supervision=Supervision(2.0, steps=4))
    without = ScoreFunctionELBO()
    for _ in range(6):
        with Force({sites.LOCATION: lambda fn: half.values[0]}):
            pair = [o.estimate(half.model, half.guide, half.batch).surrogate for o in (objective, without)]
        more = flat_gradient(pair[0] - pair[1], half.parameters)
        found.append(float((more @ policy) / (policy @ policy)) + 1)
        torch.testing.assert_close(more, (found[-1] - 1) * policy, **CLOSE)
    assert found == pytest.approx([4.0, 3.0, 2.0, 1.0, 0.0, 0.0], abs=1e-9)


def test_an_impossible_lesson_has_no_gradient_and_leaves_the_others_theirs() -> None:
    batch, model = images(2), classifier(revisits=False)
    places = torch.tensor([[1, 1], [1, 2]])  # no place twice
    known = {sites.LOCATION: Known(places, torch.tensor([True, True]))}
    for name in WEIGHED:
        make = functools.partial(Imitation) if name == "imitation" else OBJECTIVES[name]
        objective = make(supervision=Supervision(3.0))
        estimate = objective.estimate(model, Replay(Prior(model), lambda batch: known), batch)
        assert estimate.bound[0] == -torch.inf
        assert estimate.bound[1].isfinite()
        gradient = flat_gradient(estimate.surrogate, parameters_of(model))
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 1e-3, name


def test_a_weight_below_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"supervision has a weight of 0 to 1e\+09, not -1"):
        Supervision(-1.0)
