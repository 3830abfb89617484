"""Saccader with few places: every walk over them by hand, and what objectives make of them.

The programs have 2 x 2 places and two glimpses (12 walks), or 3 x 3 and three (504).

Shapes: C walks, B images, G glimpses, A places, V labels, P parameters.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pytest
import torch
from oracles import flat_gradient
from programs import antithetic, brute_force
from programs.program import Choices, Given, Program
from programs.settings import SETTINGS
from pyro import poutine
from saccaders import LABELS, bag, images, label_aware, saccader
from torch import Tensor, nn

from hardpp import sites
from hardpp.guides.places import RankedPlaces
from hardpp.guides.prior import Prior
from hardpp.inference import (
    DisARM,
    EnumeratedELBO,
    ExactMarginal,
    Hybrid,
    Imitation,
    ReweightedWakeSleep,
    UnorderedSet,
)
from hardpp.models.saccader import DenseClassifier, Saccader, logits_at
from hardpp.nn.place_scores import OrderedLogits
from hardpp.types import ImageBatch

CLOSE = {"rtol": 0, "atol": 1e-9}
GUIDES: dict[str, Callable[[Saccader], nn.Module]] = {"prior": Prior, "label-aware": label_aware}


def walks(places: int, glimpses: int) -> Tensor:
    """Every sequence of different places, (C, G)."""
    return torch.tensor(list(itertools.permutations(range(places), glimpses)))


def parameters(*programs: nn.Module) -> list[nn.Parameter]:
    """Those of all of them, each once."""
    return list({id(p): p for program in programs for p in program.parameters()}.values())


# --- by hand ------------------------------------------------------------------------------------------


def by_hand(model: Saccader, batch: ImageBatch, walk: list[int], b: int) -> tuple[Tensor, Tensor]:
    """log p(places) and log p(label | places) of one walk over one image, one place after the other."""
    logits, memory = model.representation(batch.source).logits[b], model.view(batch.source).memory[b]
    query = model.attention.query
    log_p = torch.zeros((), dtype=torch.float64)
    left = set(range(len(memory)))
    for place in walk:
        order = sorted(left)
        fit = torch.stack([memory[a] @ query / math.sqrt(len(query)) for a in order])
        alpha = fit.exp() / fit.exp().sum()
        summary = sum(alpha[i] * memory[a] for i, a in enumerate(order))
        beta = summary.exp() / summary.exp().sum()
        scores = torch.stack([beta @ memory[a] for a in order])
        log_p = log_p + scores[order.index(place)] - scores.exp().sum().log()
        left.remove(place)
    mean = torch.stack([logits[a] for a in walk]).mean(0)
    return log_p, mean[batch.target[b]] - mean.exp().sum().log()


def table(model: Saccader, batch: ImageBatch) -> tuple[Tensor, Tensor]:
    """log p(places) and log p(label | places) of every walk, (C, B) each; faster, from the same formulas."""
    view = model.view(batch.source)
    every = walks(view.memory.shape[1], model.glimpses)
    rows = torch.arange(batch.size)
    log_p = torch.zeros(len(every), batch.size, dtype=torch.float64)
    visited = torch.zeros(len(every), 1, view.memory.shape[1], dtype=torch.bool)
    for g in range(model.glimpses):
        fit = (view.memory @ model.attention.query / view.memory.shape[-1] ** 0.5).expand(len(every), -1, -1)
        alpha = fit.masked_fill(visited, -torch.inf).softmax(-1)
        beta = torch.einsum("cba,bad->cbd", alpha, view.memory).softmax(-1)
        scores = torch.einsum("cbd,bad->cba", beta, view.memory).masked_fill(visited, -torch.inf)
        log_p = log_p + scores.log_softmax(-1)[torch.arange(len(every)), :, every[:, g]]
        visited = visited | (torch.arange(visited.shape[-1]) == every[:, g, None])[:, None]
    mean = view.places.logits[:, every].mean(2)  # (B, C, V)
    return log_p, mean.log_softmax(-1)[rows, :, batch.target].T


@pytest.mark.parametrize("channels", [1, 3])
def test_the_program_is_its_formulas(channels: int) -> None:
    model, batch = saccader(3), images(2, 9, channels)
    for walk in walks(9, 3)[::31].tolist():
        values = {sites.glimpse(g): torch.tensor([p] * 2) for g, p in enumerate(walk, start=1)}
        with Given(values):
            trace = poutine.trace(model).get_trace(batch)
        trace.compute_log_prob()
        for b in range(2):
            of_places, of_label = by_hand(model, batch, walk, b)
            found = sum(trace.nodes[name]["log_prob"][b] for name in values)
            torch.testing.assert_close(found, of_places, **CLOSE)
            torch.testing.assert_close(trace.nodes[sites.LABEL]["log_prob"][b], of_label, **CLOSE)


def test_the_table_of_walks_is_that_of_the_formulas() -> None:
    model, batch = saccader(3), images(2, 9)
    log_p, log_label = table(model, batch)
    assert log_p.shape == (504, 2)
    torch.testing.assert_close(log_p.exp().sum(0), torch.ones(2, dtype=torch.float64), **CLOSE)
    for number in range(0, 504, 41):
        for b in range(2):
            expected = by_hand(model, batch, walks(9, 3)[number].tolist(), b)
            torch.testing.assert_close((log_p[number, b], log_label[number, b]), expected, **CLOSE)


def test_particles_are_runs_of_their_own() -> None:
    model, batch, K = saccader(3), images(2, 9), 5
    order = torch.stack([torch.randperm(9)[:3] for _ in range(K * 2)]).reshape(K, 2, 3)
    values = {sites.glimpse(g + 1): order[..., g] for g in range(3)}
    with Given(values), pyro.plate("particles", K, dim=-2):
        trace = poutine.trace(model).get_trace(batch)
    trace.compute_log_prob()
    for k, b in itertools.product(range(K), range(2)):
        of_places, of_label = by_hand(model, batch, order[k, b].tolist(), b)
        found = sum(trace.nodes[name]["log_prob"][k, b] for name in values)
        torch.testing.assert_close(found, of_places, **CLOSE)
        torch.testing.assert_close(trace.nodes[sites.LABEL]["log_prob"][k, b], of_label, **CLOSE)


def test_no_walk_goes_anywhere_twice() -> None:
    model, batch = saccader(9), images(1, 9)
    with pyro.plate("particles", 500, dim=-2):
        chosen = torch.stack(model(batch), -1)[:, 0]
    assert torch.equal(chosen.sort(-1).values, torch.arange(9).expand(500, -1))


# --- sums over all walks --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2])
def test_the_exact_marginal_its_gradient_and_posterior(size: int) -> None:
    model, batch = saccader(3), images(size, 9)
    log_p, log_label = table(model, batch)
    expected = (log_p + log_label).logsumexp(0)
    exact, guide = ExactMarginal(tolerance=0), Prior(model)
    estimate = exact.estimate(model, guide, batch)
    torch.testing.assert_close(estimate.bound, expected.detach(), **CLOSE)
    weights = parameters(model)
    gradient = flat_gradient(expected, weights)
    torch.testing.assert_close(flat_gradient(estimate.surrogate, weights), gradient, **CLOSE)
    assert gradient.abs().max() > 1e-2
    share = (log_p + log_label).softmax(0)  # (C, B)
    posterior = exact.posterior(model, guide, batch)
    for g in range(3):
        at = torch.nn.functional.one_hot(walks(9, 3)[:, g], 9).double()
        torch.testing.assert_close(posterior[sites.glimpse(g + 1)], share.T @ at, **CLOSE)


@pytest.mark.parametrize("name", GUIDES)
def test_the_bound_with_the_guide_summed_out(name: str) -> None:
    model, batch = saccader(3), images(1, 9)
    guide = GUIDES[name](model)
    log_p, log_label = table(model, batch)
    values = walks(9, 3)
    with Given({sites.glimpse(g + 1): values[:, g, None] for g in range(3)}):
        trace = poutine.trace(pyro.plate("walks", 504, dim=-2)(guide)).get_trace(batch)
    trace.compute_log_prob()
    log_q = sum(trace.nodes[sites.glimpse(g)]["log_prob"] for g in (1, 2, 3))
    torch.testing.assert_close(log_q.exp().sum(0), torch.ones(1, dtype=torch.float64), **CLOSE)
    expected = (log_q.exp() * (log_p + log_label - log_q)).sum(0)
    estimate = EnumeratedELBO(tolerance=0).estimate(model, guide, batch)
    torch.testing.assert_close(estimate.bound, expected.detach(), **CLOSE)
    weights = parameters(model, guide)
    gradient = flat_gradient(expected, weights)
    torch.testing.assert_close(flat_gradient(estimate.surrogate, weights), gradient, **CLOSE)
    kl = ExactMarginal(tolerance=0).estimate(model, guide, batch).bound - estimate.bound
    share = (log_p + log_label).log_softmax(0)
    torch.testing.assert_close(kl, (log_q.exp() * (log_q - share)).sum(0).detach(), **CLOSE)


def test_walks_are_as_frequent_as_they_are_likely() -> None:
    """By chi square; a right program fails for one seed in ten thousand."""
    model, batch, N = saccader(3), images(1, 9), 20_000
    probability = table(model, batch)[0][:, 0].exp().detach()
    with torch.no_grad(), pyro.plate("particles", N, dim=-2):
        chosen = torch.stack(model(batch), -1)[:, 0]  # (N, 3)
    number = {tuple(walk): i for i, walk in enumerate(walks(9, 3).tolist())}
    counts = torch.zeros(504, dtype=torch.float64)
    for walk in chosen.tolist():
        counts[number[tuple(walk)]] += 1
    often = probability * N >= 10
    observed = torch.cat([counts[often], counts[~often].sum().view(1)])
    expected = torch.cat([probability[often], probability[~often].sum().view(1)]) * N
    assert len(expected) > 50
    statistic = ((observed - expected) ** 2 / expected).sum()
    freedom = torch.tensor((len(expected) - 1) / 2, dtype=torch.float64)
    tail = torch.special.gammaincc(freedom, statistic / 2)
    assert tail > 1e-4


# --- soft attention -------------------------------------------------------------------------------------


class Relax(poutine.messenger.Messenger):
    """Gives every place as weights over places: one-hot of a walk, or the policy's probabilities."""

    def __init__(self, walk: Tensor | None = None):
        super().__init__()
        self.walk = walk

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"].startswith(sites.glimpse(1)[:-1]) and msg["name"] != sites.LABEL:
            policy = msg["fn"]
            g = int(msg["name"].rpartition("_")[2])
            places = policy.logits.shape[-1]
            if self.walk is None:
                value = policy.probs
            else:
                value = torch.nn.functional.one_hot(self.walk[..., g - 1], places).double()
            msg["value"], msg["done"] = value, True
            msg["fn"] = pyro.distributions.Delta(value, event_dim=1)


def test_logits_of_weights_are_the_expectation_of_one_hard_step() -> None:
    """Soft attention, with one glimpse: every place once, by its probability."""
    model, batch = saccader(1), images(2, 9)
    with Relax():
        trace = poutine.trace(model).get_trace(batch)
    soft = trace.nodes[sites.LABEL]["fn"].logits
    expected = torch.zeros(2, LABELS, dtype=torch.float64)
    for place in range(9):
        with Given({sites.glimpse(1): torch.tensor([place, place])}):
            hard = poutine.trace(model).get_trace(batch)
        hard.compute_log_prob()
        probability = hard.nodes[sites.glimpse(1)]["log_prob"].exp().unsqueeze(-1)
        logits = model.representation(batch.source).logits[:, place]
        torch.testing.assert_close(hard.nodes[sites.LABEL]["fn"].logits, logits.log_softmax(-1), **CLOSE)
        expected = expected + probability * logits
    torch.testing.assert_close(soft, expected.log_softmax(-1), **CLOSE)


def test_weights_all_at_one_place_are_the_place() -> None:
    model, batch = saccader(3), images(2, 9)
    walk = torch.tensor([[4, 0, 7], [8, 2, 1]])
    with Relax(walk):
        soft = poutine.trace(model).get_trace(batch)
    with Given({sites.glimpse(g + 1): walk[:, g] for g in range(3)}):
        hard = poutine.trace(model).get_trace(batch)
    label = (trace.nodes[sites.LABEL]["fn"].logits for trace in (soft, hard))
    torch.testing.assert_close(*label, **CLOSE)
    logits = model.representation(batch.source).logits
    one_hot = torch.nn.functional.one_hot(walk[:, 0], 9).double()
    assert torch.equal(logits_at(logits, one_hot), logits_at(logits, walk[:, 0]))


@pytest.mark.parametrize("glimpses", [1, 2, 9])
def test_relaxed_places_have_finite_gradients(glimpses: int) -> None:
    model, batch = saccader(glimpses), images(2, 9)
    for relax in (Relax(), Relax(torch.stack([torch.arange(9)] * 2))):
        with relax:
            trace = poutine.trace(model).get_trace(batch)
        gradient = flat_gradient(trace.nodes[sites.LABEL]["fn"].log_prob(batch.target), parameters(model))
        assert gradient.isfinite().all()


# --- objectives -----------------------------------------------------------------------------------------


class Few(NamedTuple):
    """A model of few walks and a guide, as a program of `tests/programs`."""

    model: Saccader
    guide: nn.Module
    batch: ImageBatch
    program: Program


def few(guide: str = "prior", size: int = 1, side: int = 7, glimpses: int = 2) -> Few:
    """Of features, which the representation computes once."""
    model, batch = saccader(glimpses), images(size, side)
    features = model.representation.features(batch.source).detach()
    batch = ImageBatch(features, _in_doubt(model, features))
    q, A = GUIDES[guide](model), batch.source.shape[-1] ** 2
    names = [sites.glimpse(g) for g in range(1, glimpses + 1)]

    def possible(draw: dict[str, Tensor]) -> bool:
        walk = torch.stack([draw[name] for name in names], -1)
        return all(len(set(row)) == glimpses for row in walk.tolist())

    program = Program(
        lambda: model(batch),
        lambda: q(batch),
        parameters(model.representation.head, model.representation.readout, model.attention, q),
        {name: Choices((size,), range(A)) for name in names},
        instances=("images",),
        possible=possible,
    )
    return Few(model, q, batch, program)


# Of each image the label that is right about as often as not.
def _in_doubt(model: Saccader, features: Tensor) -> Tensor:
    logits = model.representation(features).logits
    mean = logits[:, walks(logits.shape[1], model.glimpses)].mean(2)  # (B, C, V)
    share = torch.nn.functional.one_hot(mean.argmax(-1), LABELS).double().mean(1)
    return (share - 0.5).abs().argmin(-1)


# With the model itself as its guide those that are recommended so; with a guide all.
WITH_PRIOR = [
    "elbo",
    "leave-one-out, global",
    "average",
    "batch",
    "batch of one, global",
    "vimco",
    "rws, model",
]
WITH_GUIDE = [name for name, setting in SETTINGS.items() if setting.K]


@pytest.mark.parametrize(
    ("name", "guide", "size"),
    [
        *((name, "label-aware", 1) for name in WITH_GUIDE),
        *((name, "prior", 1) for name in WITH_PRIOR),
        ("batch of one, global", "prior", 2),
    ],
)
def test_objectives_are_unbiased_over_all_draws(name: str, guide: str, size: int) -> None:
    setting, program = SETTINGS[name], few(guide, size).program
    weighed = brute_force.weighed(program)
    assert len(weighed.draws) == 12**size
    target = brute_force.bounds(program, weighed, setting.K)[setting.bound]
    objective = setting.make(max_plate_nesting=1)
    got = brute_force.expectation(program, weighed, objective, setting.K, setting.one_by_one)
    torch.testing.assert_close(got.value, target.value, **CLOSE)
    torch.testing.assert_close(got.gradient, target.gradient, **CLOSE)
    assert target.gradient.abs().max() > 1e-2


@pytest.mark.parametrize("guide", GUIDES)
def test_antithetic_pairs_are_unbiased(guide: str) -> None:
    program = few(guide).program
    weighed = brute_force.weighed(program)
    target = brute_force.bounds(program, weighed)["elbo"]
    nesting = 1
    objective = DisARM(2, max_plate_nesting=nesting)
    value = surrogate = torch.zeros((), dtype=torch.float64)
    for probability, draws in antithetic.pairs(program, weighed):
        estimate = objective.estimate(
            program.model, Given(program.side_by_side(draws, nesting))(program.guide)
        )
        value, surrogate = value + probability * estimate.bound, surrogate + probability * estimate.surrogate
    torch.testing.assert_close(value.sum().double(), target.value, **CLOSE)
    gradient = flat_gradient(surrogate, program.parameters)
    torch.testing.assert_close(gradient, target.gradient, **CLOSE)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_set_of_all_walks_is_the_exact_sum(guide: str) -> None:
    program = few(guide).program
    target = brute_force.bounds(program, brute_force.weighed(program))["elbo"]
    estimate = UnorderedSet(12).estimate(program.model, program.guide)
    torch.testing.assert_close(estimate.bound.sum().double(), target.value, **CLOSE)
    gradient = flat_gradient(estimate.surrogate, program.parameters)
    torch.testing.assert_close(gradient, target.gradient, **CLOSE)


@pytest.mark.parametrize("target", ["predicted", "label", "max"])
def test_a_lesson_is_scored_along_its_own_walk(target: Any) -> None:
    """What is visited is what the lesson visited, so that nothing of it is impossible."""
    model, batch = saccader(9), images(2, 9)
    lesson = RankedPlaces(OrderedLogits(model.representation, target), 9)
    order = torch.stack(lesson(batch), -1).tolist()
    estimate = Imitation(max_plate_nesting=1).estimate(model, lesson, batch)
    expected = torch.stack([by_hand(model, batch, order[b], b)[0] for b in range(2)])
    torch.testing.assert_close(estimate.bound, expected.detach(), **CLOSE)
    weights = parameters(model.attention)
    gradient = flat_gradient(expected, weights)
    torch.testing.assert_close(flat_gradient(estimate.surrogate, weights), gradient, **CLOSE)
    assert gradient.abs().max() > 1e-2


# --- the reward of the paper ----------------------------------------------------------------------------


class Rewarded(NamedTuple):
    """What is known of every walk over one image."""

    log_p: Tensor  # (C,) of the places
    log_label: Tensor  # (C,)
    right: Tensor  # (C,) is the label the likeliest one?

    @property
    def likelihood(self) -> Tensor:
        """A value whose gradient is that of log p(label | places) at fixed draws, on average."""
        return (self.log_p.exp().detach() * self.log_label).sum()

    @property
    def reward(self) -> Tensor:
        """The expected reward."""
        return (self.log_p.exp() * self.right).sum()


def rewarded(model: Saccader, batch: ImageBatch) -> list[Rewarded]:
    """Of each image; walks of both kinds are there."""
    log_p, log_label = table(model, batch)
    logits = model.representation(batch.source).logits
    mean = logits[:, walks(logits.shape[1], model.glimpses)].mean(2)  # (B, C, V)
    right = (mean.argmax(-1) == batch.target.unsqueeze(-1)).double()
    assert ((right.mean(-1) > 0.05) & (right.mean(-1) < 0.95)).all()
    return [Rewarded(log_p[:, b], log_label[:, b], right[b]) for b in range(batch.size)]


def test_one_draw_s_mean_gradient_is_that_of_likelihood_and_reward_on_504_walks() -> None:
    few_walks = few(side=9, glimpses=3)
    (all_walks,) = rewarded(few_walks.model, few_walks.batch)
    total = torch.zeros((), dtype=torch.float64)
    objective, weights = Hybrid(1, baseline=None, max_plate_nesting=1), few_walks.program.parameters
    found = torch.zeros_like(flat_gradient(all_walks.reward, weights))
    for number, walk in enumerate(walks(9, 3)):
        probability = all_walks.log_p[number].exp().detach()
        with Given({sites.glimpse(g + 1): walk[g : g + 1] for g in range(3)}):
            estimate = objective.estimate(few_walks.model, few_walks.guide, few_walks.batch)
        found += probability * flat_gradient(estimate.surrogate, weights)
        total = total + probability
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    expected = flat_gradient(all_walks.likelihood + all_walks.reward, weights)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert flat_gradient(all_walks.reward, weights).abs().max() > 1e-2


@pytest.mark.parametrize(("particles", "size"), [(1, 2), (2, 1)])
def test_the_batch_baseline_has_the_exact_gradient_of_the_expected_reward(particles: int, size: int) -> None:
    """Over all pairs of walks, of two images or of two particles."""
    walked = few(size=size)
    per_image, weights = rewarded(walked.model, walked.batch), walked.program.parameters
    weighed = brute_force.weighed(walked.program)
    objective = Hybrid(particles, baseline="batch", max_plate_nesting=1)
    got = brute_force.expectation(walked.program, weighed, objective, particles)
    expected = flat_gradient(sum(each.likelihood + each.reward for each in per_image), weights)
    torch.testing.assert_close(got.gradient, expected, **CLOSE)


@pytest.mark.parametrize(("particles", "size"), [(1, 2), (2, 1)])
def test_a_pair_of_504_walks_is_rewarded_as_by_hand(particles: int, size: int) -> None:
    """reward minus the mean of the other one, times the sum over glimpses of log p; then over all pairs."""
    walked = few(size=size, side=9, glimpses=3)
    per_image, weights = rewarded(walked.model, walked.batch), walked.program.parameters
    objective = Hybrid(particles, baseline="batch", max_plate_nesting=1)
    first, second = per_image[0], per_image[-1]
    pairs = torch.randint(504, (12, 2), generator=torch.Generator().manual_seed(0)).tolist()
    assert len({(float(first.right[i]), float(second.right[j])) for i, j in pairs}) >= 3

    def by_formula(i: Any, j: Any, own: float = 0.0) -> Tensor:
        r, s = first.right[i], second.right[j]
        mean = (r + s) / 2
        credits = (r - own * mean - (1 - own) * s, s - own * mean - (1 - own) * r)
        return (credits[0] * first.log_p[i] + credits[1] * second.log_p[j]) / particles

    for i, j in pairs:
        both = walks(9, 3)[[i, j]]  # (2, 3)
        values = both.unsqueeze(1) if particles == 2 else both  # (K, B) or (B,)
        with Given({sites.glimpse(g + 1): values[..., g] for g in range(3)}):
            estimate = objective.estimate(walked.model, walked.guide, walked.batch)
        likelihood = (first.log_label[i] + second.log_label[j]) / particles
        expected = flat_gradient(likelihood + by_formula(i, j), weights)
        torch.testing.assert_close(flat_gradient(estimate.surrogate, weights), expected, **CLOSE)
    every = torch.arange(504)
    i, j = every.unsqueeze(-1), every
    probability = (first.log_p[i] + second.log_p[j]).exp().detach()
    exact = flat_gradient(first.reward + (second.reward if size == 2 else 0), weights)
    found = flat_gradient((probability * by_formula(i, j)).sum(), weights)
    torch.testing.assert_close(found, exact, **CLOSE)
    # The paper's mean has one's own reward in it, so that of n rewards its gradient is 1 - 1 / n as large.
    papers = flat_gradient((probability * by_formula(i, j, own=1.0)).sum(), weights)
    torch.testing.assert_close(papers, (1 - 1 / 2) * exact, **CLOSE)


# --- all places at once -----------------------------------------------------------------------------------


def test_all_places_at_once() -> None:
    network, batch = bag(), images(3, 9)
    model = DenseClassifier(network)
    estimate = ExactMarginal().estimate(model, Prior(model), batch)
    logits = network(batch.source).logits
    for b in range(3):
        mean = [sum(logits[b, a, v].item() for a in range(9)) / 9 for v in range(LABELS)]
        total = math.log(sum(math.exp(x) for x in mean))
        assert estimate.bound[b].item() == pytest.approx(mean[batch.target[b]] - total, abs=1e-9)
    gradient = flat_gradient(estimate.surrogate, parameters(model))
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-2


def test_weighing_trains_the_model_towards_its_posterior() -> None:
    """Of wake-sleep the part of the guide: with all draws the gradient of minus KL(posterior || guide)."""
    walked = few("label-aware")
    weights = parameters(walked.guide.attention)  # type: ignore[arg-type]
    values = walks(4, 2)
    log_p, log_label = table(walked.model, walked.batch)
    with Given({sites.glimpse(g + 1): values[:, g, None] for g in range(2)}):
        estimate = ReweightedWakeSleep(12, control_variates=False, max_plate_nesting=1).estimate(
            walked.model, walked.guide, walked.batch
        )
        trace = poutine.trace(pyro.plate("walks", 12, dim=-2)(walked.guide)).get_trace(walked.batch)
    trace.compute_log_prob()
    log_q = sum(trace.nodes[sites.glimpse(g)]["log_prob"] for g in (1, 2))
    share = (log_p + log_label - log_q).softmax(0).detach()
    expected = flat_gradient((share * log_q).sum(), weights)
    torch.testing.assert_close(flat_gradient(estimate.surrogate, weights), expected, **CLOSE)
