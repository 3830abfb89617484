"""The program and its guides, against loops over questions and regions; every objective on them."""

import itertools
from collections.abc import Callable
from typing import Any

import objective_settings
import oracles
import pytest
import question_corpora
import torch
from oracles import Latent, Twin
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import sample_sites
from hardpp.types import QuestionBatch

CLOSE = {"rtol": 0, "atol": 1e-9}
GUIDES = ["variational", "prior"]


def tables(model: Any, guide: Any, batch: QuestionBatch) -> tuple[Tensor, Tensor, Tensor]:
    """log p(region), log p(answer | region) and log q(region), (B, T, S), question by question."""
    B, T = batch.target.shape
    S = batch.source.shape[1]
    none = [torch.tensor(-torch.inf, dtype=batch.source.dtype)]
    prior, likelihood, posterior = [], [], []
    for b, t in itertools.product(range(B), range(T)):
        words = batch.question[b, t, : max(1, int(batch.question_mask[b, t].sum()))]
        states, _ = model.reader.lstm(model.reader.embedding(words).unsqueeze(0))
        query = states[0, -1]
        scorer, readout = model.scorer, model.readout
        count = int(batch.source_mask[b].sum())
        seen = batch.source[b, :count]
        scores = [scorer.score(torch.tanh(scorer.query(query) + scorer.key(x))).squeeze() for x in seen]
        hidden = [torch.relu(readout.region(x) + readout.query(query)) for x in seen]
        right = [readout.answers(h).log_softmax(-1)[batch.target[b, t]] for h in hidden]
        looks = scores
        if guide is not None:
            gated, h = guide.scorer, guide.embedding(batch.target[b, t])
            asked = gated.query(query * torch.relu(gated.query_gate(h)))
            looks = [
                gated.score(torch.tanh(gated.memory(x * torch.relu(gated.memory_gate(h))) + asked)).squeeze()
                for x in seen
            ]
        padding = none * (S - count)
        prior += [*torch.stack(scores).log_softmax(0), *padding]
        posterior += [*torch.stack(looks).log_softmax(0), *padding]
        likelihood += [*right, *padding]
    shape = (B, T, S)
    p, f, q = (torch.stack(part).reshape(shape) for part in (prior, likelihood, posterior))
    return p, f, q


def case(name: str, batch: QuestionBatch) -> tuple[Any, Any, Twin]:
    model, guide = question_corpora.program(name)

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        p, f, q = tables(model, guide if name == "variational" else None, batch)
        named = {"alignment": values[sites.REGION]}
        return oracles.alignment(p, f, q, batch.target_mask, named)

    S = int(batch.source_mask.sum(-1).min())
    return model, guide, Twin({sites.REGION: Latent(S, batch.target_mask)}, joint)


def test_sites_plates_and_masks(device: torch.device) -> None:
    batch = question_corpora.batch().to(device)
    model, guide = (program.to(device) for program in question_corpora.program())
    model_sites = sample_sites(poutine.trace(model).get_trace(batch))
    guide_sites = sample_sites(poutine.trace(guide).get_trace(batch))
    assert list(model_sites) == [sites.REGION, sites.ANSWER]
    assert list(guide_sites) == [sites.REGION]
    assert model.max_plate_nesting == guide.max_plate_nesting == 2
    for site in (*model_sites.values(), *guide_sites.values()):
        frames = {(frame.name, frame.dim, frame.size) for frame in site["cond_indep_stack"]}
        assert frames == {("images", -2, 2), ("questions", -1, 2)}
        assert torch.equal(site["mask"], batch.target_mask)


@pytest.mark.parametrize("program", [0, 1], ids=["model", "guide"])
def test_regions_that_are_not_there_are_never_drawn(program: int) -> None:
    batch = question_corpora.batch((1, 3))
    trace = particle_trace(question_corpora.program()[program], 200, 2, (batch,), {})
    drawn = trace.nodes[sites.REGION]["value"]
    assert drawn.shape == (200, 2, 2)
    assert (drawn < batch.source_mask.sum(-1).unsqueeze(-1)).all()


def test_the_order_of_regions_carries_no_meaning() -> None:
    batch = question_corpora.batch((3, 3))
    model, guide = question_corpora.program()
    turned = batch._replace(source=batch.source[:, [2, 0, 1]])
    for objective in (ExactMarginal(), EnumeratedELBO()):
        bounds = [objective.estimate(model, guide, one).bound for one in (batch, turned)]
        torch.testing.assert_close(*bounds, **CLOSE)


def test_padding_changes_nothing() -> None:
    batch = question_corpora.batch((2, 3), (2, 1))
    model, guide = question_corpora.program()
    alone = QuestionBatch(
        batch.source[1:], batch.source_mask[1:], *(part[1:, :1] for part in batch[2:])
    )  # image 1 without the padded question
    for objective in (ExactMarginal(), EnumeratedELBO(), SoftAttention()):
        together = objective.estimate(model, guide, batch).bound[1:]
        torch.testing.assert_close(together, objective.estimate(model, guide, alone).bound, **CLOSE)


@pytest.mark.parametrize("name", GUIDES)
def test_marginal_bound_and_expected_region_are_those_of_a_loop(name: str) -> None:
    batch = question_corpora.batch()
    model, guide, _ = case(name, batch)
    p, f, q = tables(model, guide if name == "variational" else None, batch)

    def total(terms: Tensor) -> Tensor:
        return (terms * batch.target_mask).sum(-1)

    marginal = total((p + f).logsumexp(-1))
    q_times = torch.where(batch.source_mask.unsqueeze(1), q.exp() * (p + f - q), 0.0)
    for objective, expected in (
        (ExactMarginal(), marginal),
        (EnumeratedELBO(), total(q_times.nan_to_num().sum(-1))),
    ):
        found = objective.estimate(model, guide, batch)
        torch.testing.assert_close(found.bound, expected.detach(), **CLOSE)
        parameters = [*model.parameters(), *guide.parameters()]
        gradients = [oracles.flat_gradient(each.sum(), parameters) for each in (found.surrogate, expected)]
        torch.testing.assert_close(*gradients, **CLOSE)
    reading = model.read(batch)
    logits = model.readout(p.exp() @ batch.source, reading.query).log_softmax(-1)
    soft = total(logits.gather(-1, batch.target.unsqueeze(-1)).squeeze(-1))
    torch.testing.assert_close(SoftAttention().estimate(model, guide, batch).bound, soft.detach(), **CLOSE)


@pytest.mark.parametrize("name", GUIDES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: ScoreFunctionELBO(1, baseline="soft-attention"),
        lambda: ScoreFunctionELBO(2, baseline="soft-attention"),
        lambda: ScoreFunctionELBO(2, baseline="leave-one-out"),
    ],
    ids=["soft", "soft-two", "leave-one-out"],
)
def test_score_function_estimators_are_unbiased(name: str, make: Callable[[], ScoreFunctionELBO]) -> None:
    batch = question_corpora.batch((2, 2), (1, 1))
    model, guide, twin = case(name, batch)
    objective = make()

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(model, guide, batch)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(twin, objective.num_particles, run)
    exact = oracles.bound_per_datum(twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    parameters = list({id(p): p for p in (*model.parameters(), *guide.parameters())}.values())
    expected = oracles.flat_gradient(exact.sum(), parameters)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


def test_the_importance_weighted_bound_is_that_of_all_pairs_of_draws() -> None:
    batch = question_corpora.batch((2, 2), (1, 1))
    model, guide, twin = case("variational", batch)
    found = oracles.expectation(twin, 2, lambda: (VIMCO(2).estimate(model, guide, batch).bound,))
    torch.testing.assert_close(found[0], oracles.iw_bound_per_datum(twin, 2).detach(), **CLOSE)


# A dream of the settings' own making is about other programs.
@pytest.mark.parametrize("name", [name for name in objective_settings.ALIGNMENTS if "dream" not in name])
def test_every_objective_trains_it(name: str) -> None:
    batch = question_corpora.batch()
    model, guide = question_corpora.program()
    estimate = objective_settings.OBJECTIVES[name]().estimate(model, guide, batch)
    assert estimate.bound.shape == (2,)
    assert estimate.bound.isfinite().all()
    gradient = oracles.flat_gradient(estimate.surrogate, [*model.parameters(), *guide.parameters()])
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_relaxed_regions_near_corners_are_regions(temperature: float) -> None:
    # At one region an image every relaxation is exact.
    batch = question_corpora.batch((1, 1))
    model, guide = question_corpora.program()
    relaxed = GumbelSoftmax(temperature=temperature).estimate(model, guide, batch).bound
    torch.testing.assert_close(relaxed, ExactMarginal().estimate(model, guide, batch).bound, **CLOSE)


def test_the_guide_knows_the_answer_and_the_model_does_not() -> None:
    batch = question_corpora.batch()
    other = batch._replace(target=(batch.target + 1) % 3)
    model, guide = question_corpora.program()
    for program, knows in ((model, False), (guide, True)):
        one, two = (
            poutine.trace(program).get_trace(b).nodes[sites.REGION]["fn"].logits for b in (batch, other)
        )
        assert torch.equal(one, two) is not knows
