"""K-max by a handler is what decoding a step at a time does with `keep`."""

import cases
import pyro
import pytest
import torch
from pyro import distributions as dist
from torch import Tensor

from hardpp.decoding.predictive import next_symbol
from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sums.likeliest_values import LikeliestValues


def by_steps(keep: int, prediction: str) -> Tensor:
    case = cases.alignment()
    (batch,), model = case.args, case.model
    read, state = model.read(batch.source, batch.source_mask)
    previous, total = torch.zeros_like(batch.target[:, 0]), torch.zeros(batch.size, dtype=torch.float64)
    for t in range(batch.target.shape[1]):
        query, scores, state = model.step(read, state, previous)
        log_p = next_symbol(model, read, query, scores, prediction, keep)
        previous = batch.target[:, t]
        step = log_p.gather(-1, previous.unsqueeze(-1)).squeeze(-1)
        total = total + step.where(batch.target_mask[:, t], 0.0)
    return total


@pytest.mark.parametrize("keep", [1, 2, 9])
@pytest.mark.parametrize(
    ("objective", "prediction"), [(ExactMarginal(), "marginal"), (SoftAttention(), "expected")]
)
def test_likelihoods_are_those_of_decoding(keep: int, objective: ExactMarginal, prediction: str) -> None:
    case = cases.alignment()
    found = objective.estimate(LikeliestValues(keep)(case.model), case.guide, *case.args).bound
    torch.testing.assert_close(found.reshape(-1), by_steps(keep, prediction), rtol=0, atol=1e-9)


def test_other_latents_are_refused() -> None:
    with pytest.raises(UsageError, match="'z' is Bernoulli: only a Categorical"), LikeliestValues(1):
        pyro.sample("z", dist.Bernoulli(0.5))
    with pytest.raises(UsageError, match="at least 1 value must be kept, not 0"):
        LikeliestValues(0)
