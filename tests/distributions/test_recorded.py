"""Recorded draws against the same by hand, element by element."""

import math
from typing import Any

import glimpses
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.recorded import Recorded, RecordedSteps, recorded_in
from hardpp.distributions.step_independent import StepIndependent

WHERE = torch.tensor([True, False, True])
LOGITS = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
STEPS = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

CASES: dict[str, tuple[Any, Tensor]] = {
    "categorical": (Categorical(logits=LOGITS), torch.tensor([2, 0, 1])),
    "normal": (dist.Normal(LOGITS[:, 0], 1.0), torch.tensor([0.5, math.nan, -0.5]).double()),
    "events": (Categorical(logits=STEPS).to_event(1), torch.tensor([[0, 1], [2, 3], [3, 3]])),
    "steps": (StepIndependent(Categorical(logits=STEPS)), torch.tensor([[0, 1], [2, 3], [3, 3]])),
}


@pytest.mark.parametrize("K", [None, 5])
@pytest.mark.parametrize("name", CASES)
def test_values_stand_where_they_were_recorded(name: str, K: int | None) -> None:
    base, value = CASES[name]
    mixed = recorded_in(base, value, WHERE)
    mixed = mixed if K is None else mixed.expand((K, 3))
    plain = base if K is None else base.expand((K, 3))
    torch.manual_seed(0)
    drawn = mixed.sample()
    torch.manual_seed(0)
    expected = plain.sample()
    by_hand, terms = expected.clone(), plain.log_prob(drawn).clone()
    for row in range(3):
        at = (..., row, slice(None)) if name in ("events", "steps") else (..., row)
        if WHERE[row]:
            by_hand[at] = value[row].to(by_hand)
            terms[..., row] = 0.0
    assert torch.equal(drawn, by_hand)
    assert torch.equal(mixed.log_prob(drawn), terms)
    assert not mixed.has_rsample
    assert not mixed.has_enumerate_support
    assert mixed.batch_shape == plain.batch_shape
    assert mixed.event_shape == plain.event_shape
    assert mixed.sample((2,)).shape == (2, *drawn.shape)
    with pytest.raises(NotImplementedError):
        mixed.enumerate_support()


def test_steps_keep_their_scores() -> None:
    base, value = CASES["steps"]
    mixed = recorded_in(base, value, WHERE)
    assert isinstance(mixed, RecordedSteps)
    assert isinstance(mixed, StepIndependent)
    drawn = mixed.sample()
    terms = base.step_log_prob(drawn) * ~WHERE.unsqueeze(-1)
    assert torch.equal(mixed.step_log_prob(drawn), terms)
    assert torch.equal(mixed.log_prob(drawn), terms.sum(-1))


def test_glimpses_keep_theirs() -> None:
    batch, model = glimpses.images(3), glimpses.classifier()
    policy = model.policy(batch.source)
    mixed = recorded_in(policy, torch.tensor([[0, 3], [0, 0], [2, 1]]), WHERE).expand((4, 3))
    drawn = mixed.sample()
    assert drawn[:, 0].tolist() == [[0, 3]] * 4
    assert drawn[:, 2].tolist() == [[2, 1]] * 4
    terms = model.policy(batch.source).expand((4, 3)).step_log_prob(drawn)
    assert torch.equal(mixed.step_log_prob(drawn), terms * ~WHERE.unsqueeze(-1))


def test_a_mask_of_the_base_stays_outermost() -> None:
    base, value = CASES["categorical"]
    mask = torch.tensor([True, False, False])
    mixed = recorded_in(base.mask(mask), value, WHERE)
    assert isinstance(mixed, dist.MaskedDistribution)
    assert isinstance(mixed.base_dist, Recorded)
    assert mixed.sample()[WHERE].tolist() == [2, 1]


def test_what_is_recorded_has_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    mixed = recorded_in(Categorical(logits=logits), torch.tensor([2, 0, 1]), WHERE)
    mixed.log_prob(torch.tensor([2, 3, 1])).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[WHERE] == 0).all()
    assert logits.grad[1].abs().max() > 0.1


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (torch.zeros(2, dtype=torch.int64), WHERE),
        (torch.zeros(3, 2, dtype=torch.int64), WHERE),
        (torch.zeros(3, dtype=torch.int64), WHERE[:2]),
        (torch.zeros(3, dtype=torch.int64), WHERE.expand(2, 3)),
    ],
)
def test_other_shapes_are_refused(value: Tensor, recorded: Tensor) -> None:
    with pytest.raises(ValueError, match=r"for a distribution of batch shape \(3,\) and event shape \(\)"):
        recorded_in(CASES["categorical"][0], value, recorded)
