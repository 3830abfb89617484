"""Soft attention and the row of expected values, against models written by hand."""

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case
from pyro import poutine
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import ExpectedLatents, SoftAttention
from hardpp.inference.weights.particles import particle_trace

CLOSE = {"rtol": 0, "atol": 1e-12}


def soft_steps(case: Case) -> Tensor:
    """log p(y[b, t] | E[z]) of a LatentAlignment, (B, T), 0 at padding; loops over sentences and steps."""
    model, (batch,) = case.model, case.args
    prior, _, memory, query = oracles.alignment_tables(model, batch)
    rows = []
    for b in range(len(batch.target)):
        for t in range(batch.target.shape[1]):
            context = (prior[b, t].exp().unsqueeze(-1) * memory[b]).sum(0)
            rows.append(model.readout(context, query[b, t]).log_softmax(-1)[batch.target[b, t]])
    return torch.stack(rows).reshape(batch.target.shape) * batch.target_mask


def test_soft_attention_is_the_model_of_expected_memories() -> None:
    case = cases.alignment(batch=cases.alignment_batch((3, 2), (2, 3), padded=(1, 1)))
    estimate = SoftAttention().estimate(case.model, case.guide, *case.args)
    exact = soft_steps(case).sum(-1)
    torch.testing.assert_close(estimate.bound, exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact.sum(), case.of_model)
    torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, case.of_model), expected, **CLOSE)


def test_soft_attention_through_a_chain() -> None:
    case = cases.chain((3, 2))
    model, (symbols, mask) = case.model, case.args
    estimate = SoftAttention().estimate(model, case.guide, *case.args)
    exact = torch.zeros(2, dtype=torch.float64)
    for b in range(2):
        weights = model.transition[-1].softmax(-1)
        for t in range(3):
            if mask[b, t]:
                exact[b] = exact[b] + (weights @ model.emission).log_softmax(-1)[symbols[b, t]]
            weights = (weights @ model.transition[:-1]).softmax(-1)
    torch.testing.assert_close(estimate.bound, exact.detach(), **CLOSE)


@pytest.mark.parametrize("particles", [1, 2, 3])
@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
def test_the_extra_row_of_a_table_is_soft_attention(guide: str, particles: int) -> None:
    case = cases.alignment(guide)
    objective = ScoreFunctionELBO(particles, baseline="soft-attention")
    table = objective.weight_table(case.model, case.guide, *case.args)
    assert len(table.extra) == 1
    assert len(table.log_p) == len(table.log_q) == len(table.score) == particles
    torch.testing.assert_close(table.extra[0].sum(-1), soft_steps(case), **CLOSE)


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("name", cases.TAKES_RELAXED)
def test_the_rows_of_the_draws_are_the_model_s_own(name: str, particles: int) -> None:
    case = cases.CASES[name]()
    _, values = list(oracles.draws(case.twin, particles))[-2]
    with oracles.Force(values):
        plain = ScoreFunctionELBO(particles).weight_table(case.model, case.guide, *case.args)
        relaxed = ScoreFunctionELBO(particles, baseline="soft-attention")
        table = relaxed.weight_table(case.model, case.guide, *case.args)
    torch.testing.assert_close(table.log_p, plain.log_p, **CLOSE)
    torch.testing.assert_close(table.log_q, plain.log_q, **CLOSE)


def test_relaxed_latents_are_weights_over_their_values() -> None:
    case = cases.alignment("variational")
    drawn = particle_trace(case.guide, 2, 2, case.args, {})
    relaxed = particle_trace(ExpectedLatents(drawn, plates=2)(case.model), 3, 2, case.args, {})
    weights = relaxed.nodes["alignment"]["value"]
    assert weights.shape == (3, *case.args[0].target.shape, case.args[0].source.shape[1])
    torch.testing.assert_close(weights[:2].argmax(-1), drawn.nodes["alignment"]["value"])
    assert ((weights[:2] == 0) | (weights[:2] == 1)).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def uncountable() -> None:
    with pyro.plate("data", 2, dim=-1):
        pyro.sample("place", dist.Normal(0.0, 1.0))


@pytest.mark.parametrize("objective", [SoftAttention(), ScoreFunctionELBO(baseline="soft-attention")])
def test_only_categorical_latents_have_an_expected_value(objective: SoftAttention) -> None:
    with pytest.raises(UsageError, match="'place' is Normal"):
        objective.estimate(uncountable, uncountable)


@pytest.mark.parametrize("particles", [1, 2])
@pytest.mark.parametrize("baseline", [None, "leave-one-out", "soft-attention"])
def test_model_and_guide_see_the_same_subsample(baseline: str | None, particles: int) -> None:
    """A datum's weights must be its own: data and guide know the datum by its value."""
    if baseline == "leave-one-out":
        particles = 2
    data = torch.arange(6)
    seen: list[Tensor] = []

    def model() -> None:
        with pyro.plate("data", 6, subsample_size=2, dim=-1) as index:
            seen.append(index)
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(2)))
            weights = z if z.is_floating_point() else torch.nn.functional.one_hot(z, 2).float()
            logits = weights @ torch.arange(12.0).reshape(2, 6)
            pyro.sample("y", dist.Categorical(logits=logits), obs=data[index])

    def guide() -> None:
        with pyro.plate("data", 6, subsample_size=2, dim=-1) as index:
            seen.append(index)
            pyro.sample("z", dist.Categorical(logits=torch.zeros(2)))

    objective = ScoreFunctionELBO(particles, baseline=baseline, max_plate_nesting=1)
    objective.estimate(model, guide)
    assert (seen[0] == seen[1]).all()


def test_a_scale_multiplies_soft_attention() -> None:
    case = cases.alignment("prior")
    plain = SoftAttention().estimate(case.model, case.guide, *case.args)
    scaled = SoftAttention(max_plate_nesting=2).estimate(
        poutine.scale(case.model, scale=3.0), case.guide, *case.args
    )
    torch.testing.assert_close(scaled.bound, 3 * plain.bound, **CLOSE)
