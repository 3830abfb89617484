"""Signs of a training that goes wrong: right of crafted programs, and computed only where one asks."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor, nn

from hardpp.distributions import Categorical
from hardpp.inference.imitation import Imitation
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.objective import SampledObjective
from hardpp.inference.score_function import ScoreFunctionELBO

MASK = torch.tensor([[True, True], [True, False]])  # the last step of the second datum is padding


class Picks(nn.Module):
    """Two data of two steps, which pick one of two places by these logits."""

    def __init__(self, logits: list[float]):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float32))

    def forward(self) -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 2, dim=-1), poutine.mask(mask=MASK):
            self.see(pyro.sample("place", Categorical(logits=self.logits)))

    def see(self, place: Tensor) -> None:
        pass


class Seen(Picks):
    """What was picked is seen, with a log-probability of so many nats for the second place."""

    def __init__(self, logits: list[float], nats: float):
        super().__init__(logits)
        self.nats = nats

    def see(self, place: Tensor) -> None:
        surprise = torch.tensor([0.0, self.nats])[place]
        pyro.sample("seen", dist.Exponential(torch.ones(())).expand(place.shape), obs=-surprise)


class Nothing(nn.Module):
    """A baseline that predicts nothing."""

    def forward(self, history: Any, *args: Any) -> Tensor:
        return torch.zeros(())


def signs(objective: SampledObjective, nats: float, prior: list[float], guide: nn.Module) -> dict[str, float]:
    pyro.settings.set(module_local_params=True)
    pyro.set_rng_seed(0)
    objective.tells = True
    found = objective.estimate(Seen(prior, nats), guide).diagnostics
    found.pop("ess", None)
    return {name: float(value) for name, value in found.items()}


def test_nobody_asks_and_nothing_is_computed() -> None:
    objective = VIMCO(2)
    assert list(objective.estimate(Seen([0, 0], -1.0), Picks([0, 0])).diagnostics) == ["ess"]


def test_a_guide_that_draws_one_value_has_no_entropy() -> None:
    found = signs(VIMCO(4), 0.0, [0, 0], Picks([50, 0]))
    assert found["guide_entropy"] == pytest.approx(0, abs=1e-6)
    assert found["guide_to_prior"] == pytest.approx(math.log(2), abs=1e-5)  # padding does not count
    assert signs(VIMCO(4), 0.0, [0, 0], Picks([0, 0]))["guide_entropy"] == pytest.approx(math.log(2))


def test_a_guide_that_is_the_prior_is_nowhere_away_from_it() -> None:
    assert signs(VIMCO(4), -3.0, [1, 0], Picks([1, 0]))["guide_to_prior"] == pytest.approx(0, abs=1e-6)


def test_one_particle_of_all_the_weight() -> None:
    even, uneven = (signs(VIMCO(4), nats, [0, 0], Picks([0, 0])) for nats in (-0.001, -80.0))
    assert even["instance_ess"] == pytest.approx(4, abs=1e-3)
    assert 1 <= uneven["instance_ess"] < 3.5  # those particles that picked the first place


@pytest.mark.parametrize(("baseline", "least", "most"), [(Nothing(), 1.0, 1.0), ("average", 0.0, 0.9)])
def test_what_a_baseline_leaves(baseline: Any, least: float, most: float) -> None:
    objective = ScoreFunctionELBO(8, baseline=baseline)
    for _ in range(2):  # an average knows nothing at first
        found = signs(objective, -5.0, [0, 0], Picks([0.5, 0]))
    assert least <= found["unexplained"] <= most
    objective.tells = False
    assert "unexplained" not in objective.estimate(Seen([0, 0], -5.0), Picks([0, 0])).diagnostics


def test_what_draws_nothing_from_the_guide_has_no_signs() -> None:
    assert signs(Imitation(1), 0.0, [0, 0], Picks([0, 0])) == {}
