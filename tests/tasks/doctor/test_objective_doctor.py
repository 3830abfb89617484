"""The doctor of objectives names what is wrong with one, and finds nothing in ours."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.objective import SampledObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.tasks.doctor.findings import faults
from hardpp.tasks.doctor.objective import check_objective


class LeaveOneOut(SampledObjective):
    """The evidence lower bound, each particle compared with the mean of the others."""

    name = "mine"
    bound = "elbo"
    least_particles = 2

    def __init__(self, num_particles: int = 2):
        super().__init__(num_particles)

    def baseline(self, reward: Tensor) -> Tensor:  # (K, *I)
        return (reward.sum(0) - reward) / (len(reward) - 1)

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        reward = table.log_weights  # (K, *I)
        signal = (reward - self.baseline(reward)).detach()
        gain = (table.log_p - table.log_q).sum(-1)
        return reward.mean(0), (gain + signal * table.score.sum(-1)).mean(0)


class PooledBaseline(LeaveOneOut):
    """Its baseline has a number for each particle, (K, 1), where one for each datum is wanted."""

    def baseline(self, reward: Tensor) -> Tensor:
        return reward.mean(-1, keepdim=True)


class KnowsTheDraw(LeaveOneOut):
    """Its baseline is the mean of all particles, the one that it judges included."""

    def baseline(self, reward: Tensor) -> Tensor:
        return reward.mean(0)


class ThreeByTwo(nn.Module):
    def forward(self, history: Any, *args: Any) -> Tensor:
        return torch.zeros(3, 7)


class WrongBaselineShape(ScoreFunctionELBO):
    """Its baseline is a module whose predictions have a shape of their own."""

    def __init__(self, num_particles: int = 2):
        super().__init__(num_particles, baseline=ThreeByTwo())


class PooledWeights(IWAE):
    """Its weights are those of the whole batch."""

    def __init__(self, num_particles: int = 2):
        super().__init__(num_particles)

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        share = table.log_weights.sum(-1).softmax(0).detach()  # (K,)
        scored = share.unsqueeze(-1) * (table.log_p - table.log_q).sum(-1)
        return bound, scored.sum(0).expand_as(surrogate)


class WrongBound(IWAE):
    """It declares another bound than it has."""

    bound = "elbo"

    def __init__(self, num_particles: int = 2):
        super().__init__(num_particles)


class TakesFewer(LeaveOneOut):
    """It compares particles, and takes one."""

    least_particles = 1

    def baseline(self, reward: Tensor) -> Tensor:
        return super().baseline(reward) if len(reward) > 1 else torch.full_like(reward, torch.nan)

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        return bound + 0 * self.baseline(bound.expand(self.num_particles, -1)).mean(0), surrogate


class WithoutScale(LeaveOneOut):
    """Its bound is scaled twice."""

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        return bound * table.scale, surrogate


class UnheardOf(LeaveOneOut):
    """It needs what nobody knows."""

    needs = frozenset({"latents", "luck"})  # type: ignore[arg-type]
    bound = "best"


class RunningBaseline(LeaveOneOut):
    """Its baseline is what it got in the calls before, kept by itself."""

    kept = 0.0

    def baseline(self, reward: Tensor) -> Tensor:
        self.kept += 0.1 * float(reward.mean())
        return torch.full_like(reward, self.kept)


class Single(LeaveOneOut):
    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        return bound.float(), surrogate.float()


class Biased(LeaveOneOut):
    unbiased = False


class Backwards(Biased):
    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        return bound, -surrogate


class LeavesTheGuide(Biased):
    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        return table.log_weights.mean(0), table.log_p.sum(-1).mean(0)


class LeavesTheModel(Biased):
    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, _ = super().surrogate(table)
        return bound, (table.log_weights * table.score.sum(-1)).mean(0)


class TrainsInSecret(Biased):
    trains_guide = False


class SomeParticles(LeaveOneOut):
    """Takes each particle's gradient with probability 1/2, twice: right on average, by numbers of its own."""

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        reward = table.log_weights
        taken = 2 * (torch.rand_like(reward) < 0.5)
        gain = (table.log_p - table.log_q).sum(-1)
        signal = (reward - self.baseline(reward)).detach()
        return reward.mean(0), (taken * (gain + signal * table.score.sum(-1))).mean(0)


MISTAKES = [
    (RunningBaseline, {"repeats"}, "another one in the next call, at the same draws"),
    (Single, {"estimate"}, "are torch.float32 and torch.float32, of programs in torch.float64"),
    (Backwards, {"trains"}, "leads away from its bound"),
    (LeavesTheGuide, {"trains"}, "no parameter of the guide has a gradient"),
    (LeavesTheModel, {"trains"}, "no parameter of the model has a gradient"),
    (TrainsInSecret, {"trains"}, "the guide has a gradient, and trains_guide = False is declared"),
    (WrongBaselineShape, {"estimate"}, r"baseline ThreeByTwo predicts returns of shape \(3, 7\)"),
    (PooledBaseline, {"per datum", "masks", "gradient"}, "a baseline or weight of a datum depends on others"),
    (KnowsTheDraw, {"gradient"}, "expected gradient of the guide's 'transition' is off by .* knows the draw"),
    (PooledWeights, {"per datum", "gradient"}, "a baseline or weight of a datum depends on others"),
    (WrongBound, {"value", "gradient"}, "on average, and the evidence lower bound that it declares"),
    (TakesFewer, {"particles"}, r"with 1 particles, the fewest that it declares, its bound is \[nan"),
    (WithoutScale, {"scale"}, "under poutine.scale of 4 its bound is not 4 times as large"),
    (UnheardOf, {"declared"}, "needs 'luck', which no model family knows"),
]


@pytest.mark.parametrize(("kind", "checks", "sentence"), MISTAKES, ids=[row[0].__name__ for row in MISTAKES])
def test_a_mistake_is_named(kind: type[SampledObjective], checks: set[str], sentence: str) -> None:
    found = faults(check_objective(kind))
    assert {finding.check for finding in found} == checks, found
    assert any(re.search(sentence, finding.finding) for finding in found), found


@pytest.mark.parametrize(
    "objective", [LeaveOneOut, SomeParticles, "vimco", "unordered-set", "exact", "hybrid"]
)
def test_a_sound_objective_is_sound(objective: Any) -> None:
    assert faults(check_objective(objective)) == []
