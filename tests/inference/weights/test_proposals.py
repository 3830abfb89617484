"""Flattened guides: what they draw from, what they leave alone, and that the weights know."""

from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from oracles import Twin
from pyro import poutine
from torch import Tensor

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.wake_sleep import ProposalObjective
from hardpp.inference.weights.proposals import DRAWN_FROM, DetachedDraws, Proposal
from hardpp.inference.weights.sample_sites import site_log_prob
from hardpp.ops.weights import log_mean_exp

CLOSE = {"rtol": 0, "atol": 1e-12}
LOGITS = torch.tensor([[0.3, -1.2, 2.0], [0.5, -torch.inf, -0.4]], dtype=torch.float64)


def by_hand(probs: Tensor, kind: str, amount: float) -> Tensor:
    if kind == "temperature":
        raised = probs ** (1 / amount)
        return raised / raised.sum(-1, keepdim=True)
    possible = (probs > 0).to(probs)
    return (1 - amount) * probs + amount * possible / possible.sum(-1, keepdim=True)


HANDLERS: dict[str, tuple[str, float, Proposal]] = {
    "temperature": ("temperature", 3.0, Proposal("temperature", temperature=3.0)),
    "mixture": ("mixture", 0.3, Proposal("mixture", mixture=0.3)),
    "uniform": ("mixture", 1.0, Proposal("mixture", mixture=1.0)),
}


def drawn(fn: Any, proposal: Proposal, **plates: int) -> Any:
    """The site of a guide with one latent, as it is traced."""

    def guide() -> None:
        with pyro.plate_stack("data", tuple(plates.values())):
            pyro.sample("z", fn)

    with DetachedDraws(proposal):
        return poutine.trace(guide).get_trace().nodes["z"]


@pytest.mark.parametrize("name", HANDLERS)
def test_probabilities_of_a_flattened_categorical(name: str) -> None:
    kind, amount, proposal = HANDLERS[name]
    site = drawn(dist.Categorical(logits=LOGITS), proposal, B=2)
    expected = by_hand(LOGITS.softmax(-1), kind, amount)
    torch.testing.assert_close(site["infer"][DRAWN_FROM].probs, expected, **CLOSE)
    assert site["infer"][DRAWN_FROM].probs[1, 1] == 0


@pytest.mark.parametrize("name", HANDLERS)
def test_probabilities_given_as_zero_stay_zero(name: str) -> None:
    _, _, proposal = HANDLERS[name]
    site = drawn(dist.Categorical(probs=torch.tensor([0.25, 0.0, 0.75])), proposal)
    assert site["infer"][DRAWN_FROM].probs[1] == 0


def test_a_value_too_small_to_have_a_probability_is_still_explored() -> None:
    flat = Proposal("mixture", mixture=0.5)(torch.tensor([0.0, -200.0]).log_softmax(-1)).exp()
    torch.testing.assert_close(flat, torch.tensor([0.75, 0.25]))
    site = drawn(dist.Categorical(logits=torch.tensor([0.0, -200.0])), HANDLERS["uniform"][2])
    torch.testing.assert_close(site["infer"][DRAWN_FROM].probs, torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("name", HANDLERS)
def test_probabilities_of_a_flattened_bernoulli(name: str) -> None:
    kind, amount, proposal = HANDLERS[name]
    logits = torch.tensor([-2.0, 0.0, 1.5, 60.0], dtype=torch.float64)
    site = drawn(dist.Bernoulli(logits=logits), proposal, B=4)
    both = by_hand(torch.stack([(-logits).sigmoid(), logits.sigmoid()], -1), kind, amount)
    torch.testing.assert_close(site["infer"][DRAWN_FROM].probs, both[:, 1], **CLOSE)


@pytest.mark.parametrize("name", HANDLERS)
def test_wrappers_stay_around_what_is_flattened(name: str) -> None:
    kind, amount, proposal = HANDLERS[name]
    mask = torch.tensor([True, False])
    value = torch.tensor([2, 0])
    terms = by_hand(LOGITS.softmax(-1), kind, amount).log().gather(-1, value.unsqueeze(-1)).squeeze(-1)

    base = dist.Categorical(logits=LOGITS)
    masked = drawn(base.mask(mask), proposal, B=2)["infer"][DRAWN_FROM]
    torch.testing.assert_close(masked.log_prob(value), terms * mask, **CLOSE)

    event = drawn(base.to_event(1), proposal)["infer"][DRAWN_FROM]
    torch.testing.assert_close(event.log_prob(value), terms.sum(), **CLOSE)

    steps = drawn(StepIndependent(base.mask(mask)), proposal)["infer"][DRAWN_FROM]
    assert isinstance(steps, StepIndependent)
    torch.testing.assert_close(steps.step_log_prob(value), terms * mask, **CLOSE)
    assert torch.equal(steps.step_mask(), mask)


class Flipped(Proposal):
    """What q excludes, this one always draws."""

    def __call__(self, log_q: Tensor) -> Tensor:
        return log_q.flip(-1)


def test_the_site_draws_from_the_proposal_and_keeps_the_guide() -> None:
    logits = torch.tensor([0.0, -torch.inf], dtype=torch.float64).requires_grad_()
    fn = dist.Categorical(logits=logits)
    site = drawn(fn, Flipped("temperature"))
    assert site["fn"] is fn
    assert site["value"] == 1
    assert not site["infer"][DRAWN_FROM].logits.requires_grad


def test_half_precision_logits_are_flattened_in_single_precision() -> None:
    site = drawn(dist.Categorical(logits=LOGITS.bfloat16()), HANDLERS["temperature"][2], B=2)
    assert site["infer"][DRAWN_FROM].logits.dtype == torch.float32


def test_draws_are_detached_as_they_are_drawn() -> None:
    mean = torch.tensor(0.5, requires_grad=True)

    def guide() -> None:
        x = pyro.sample("x", dist.Normal(mean, 1.0))
        assert not x.requires_grad
        pyro.sample("y", dist.Normal(x, 1.0))

    with DetachedDraws():
        trace = poutine.trace(guide).get_trace()
    assert trace.nodes["y"]["fn"].loc is trace.nodes["x"]["value"]
    assert site_log_prob(trace.nodes["x"]).requires_grad  # the score of q remains
    assert DRAWN_FROM not in trace.nodes["x"]["infer"]


def test_latents_without_probabilities_are_refused() -> None:
    with pytest.raises(UsageError, match="site 'z' is Normal, which has no probabilities to flatten"):
        drawn(dist.Normal(0.0, 1.0), HANDLERS["mixture"][2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"proposal": "flat"}, "proposal is 'temperature', 'mixture' or 'none', not 'flat'"),
        ({"proposal": "temperature", "temperature": 0.5}, "at least 1, not 0.5"),
        ({"proposal": "temperature", "temperature": float("nan")}, "at least 1, not nan"),
        ({"proposal": "mixture", "mixture": 0.0}, "above 0 and at most 1, not 0.0"),
        ({"proposal": "mixture", "mixture": 1.5}, "above 0 and at most 1, not 1.5"),
    ],
)
def test_impossible_proposals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Proposal(**arguments)


# --- weights ----------------------------------------------------------------------------------------


class AverageWeight(ProposalObjective):
    """Nothing but the value, so that expectations can be taken of it."""

    def surrogate(self, table: Any) -> tuple[Tensor, Tensor]:
        return log_mean_exp(table.log_weights), table.log_p.sum() * 0


def flat_chain(case: cases.Case, kind: str, amount: float) -> Twin:
    """The twin of a chain whose guide is flattened by hand."""
    table = by_hand(case.guide.table.softmax(-1), kind, amount).log()
    model, (symbols, mask) = case.model, case.args

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        return oracles.chain(model.transition, model.emission, table, symbols, mask, values)

    return case.twin._replace(joint=joint)


@pytest.mark.parametrize(("kind", "amount"), [("temperature", 2.0), ("mixture", 0.3)])
@pytest.mark.parametrize("particles", [1, 2])
def test_weights_against_what_was_drawn_from_average_to_the_likelihood(
    particles: int, kind: str, amount: float
) -> None:
    case = cases.chain((2, 1))
    objective = AverageWeight(particles, proposal=Proposal(kind, **{kind: amount}))
    twin = flat_chain(case, kind, amount)

    def run() -> tuple[Tensor, ...]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound.exp().prod(), estimate.log_weights[0].exp().prod()

    exact = oracles.log_marginal(case.twin).detach().exp()
    for mean in oracles.expectation(twin, particles, run):
        torch.testing.assert_close(mean, exact, rtol=1e-12, atol=0)


def test_columns_of_steps_and_of_single_latents_hold_the_proposal() -> None:
    """A latent of three values, then three steps of two: log q~ has the columns that log q has."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    steps = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64)

    def program(observed: bool) -> Callable[[], None]:
        def run() -> None:
            with pyro.plate("data", 2, dim=-1):
                pyro.sample("c", dist.Categorical(logits=first))
                z = pyro.sample("z", StepIndependent(dist.Categorical(logits=steps)))
                if observed:
                    pyro.sample("y", dist.Normal(z.sum(-1).double(), 1.0), obs=torch.zeros(2).double())

        return run

    objective = AverageWeight(4, proposal=Proposal("temperature", temperature=3.0), max_plate_nesting=1)
    table = objective.weight_table(program(True), program(False))
    assert table.log_q.shape == table.score.shape == (4, 2, 5)
    for s, (value, logits) in enumerate(
        zip(table.values.unbind(-1), [first, *steps.unbind(1)], strict=True), start=1
    ):
        for column, scaled in ((table.log_q, logits / 3), (table.score, logits)):
            expected = scaled.log_softmax(-1).expand(4, 2, -1).gather(-1, value.unsqueeze(-1)).squeeze(-1)
            torch.testing.assert_close(column[..., s], expected, **CLOSE)
    assert (table.log_q[..., 0] == 0).all()


def test_a_draw_that_the_guide_itself_fixes_counts_as_drawn_from_the_guide() -> None:
    case = cases.chain((2,))
    fixed = poutine.trace(case.guide).get_trace(*case.args)
    fixed.remove_node("z_1")
    objective = AverageWeight(2, proposal=Proposal("mixture"), max_plate_nesting=1)
    table = objective.weight_table(case.model, poutine.replay(case.guide, trace=fixed), *case.args)
    assert torch.equal(table.log_q[..., 1], table.score[..., 1])
    assert not torch.equal(table.log_q[..., 2], table.score[..., 2])
