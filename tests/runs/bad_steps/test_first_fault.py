"""What stops being finite first in a step, whatever it spoils afterwards."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.runs.bad_steps import first_fault
from hardpp.runs.bad_steps.first_fault import Fault, Watch, not_numbers, span


class Doubling(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return 2 * value


class Words(nn.Module):
    """p(z) p(y | z) of three data with two steps each; `scores` are what the second is given."""

    def __init__(self, scores: Tensor):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("scores", scores)
        self.twice = Doubling()

    def forward(self, batch: Tensor) -> None:
        with pyro.plate("data", len(batch), dim=-2), pyro.plate("steps", 2, dim=-1):
            pyro.sample("place", dist.Categorical(logits=self.twice(self.weight)))
            pyro.sample("word", dist.Categorical(logits=self.scores + self.weight), obs=batch)


class Guide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, batch: Tensor) -> None:
        with pyro.plate("data", len(batch), dim=-2), pyro.plate("steps", 2, dim=-1):
            pyro.sample("place", dist.Categorical(logits=self.weight))


def watched(model: nn.Module, backwards: bool = True) -> list[Fault]:
    pyro.settings.set(module_local_params=True)
    pyro.set_rng_seed(0)
    module = ScoreFunctionELBO(2)(model, Guide())
    watch = Watch(module)
    with watch.watching(), pyro.validation_enabled(False):
        loss = module(torch.tensor([[0, 1], [2, 0], [1, 1]]))
        if backwards:
            loss.backward()
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    return watch.faults


def test_nothing_is_told_of_a_sound_step() -> None:
    masked = torch.zeros(3, 2, 3).index_fill(-1, torch.tensor([2]), -math.inf)
    masked[1, 0] = 0  # where the third word is said
    assert watched(Words(masked)) == []


def test_a_site_is_named_with_what_it_is_given() -> None:
    scores = torch.zeros(3, 2, 3)
    scores[1, 1, 2] = math.nan
    weight, site, log_prob, *_ = watched(Words(scores))
    assert weight == Fault("weight", "model.scores", "1 of 18 numbers are nan")
    assert (
        site.sentence
        == "what site 'word' of the model is given, Categorical: logits: 3 of 18 numbers are nan"
    )
    assert (log_prob.kind, log_prob.place, log_prob.row) == ("log-probability", {"data": 1, "steps": 1}, 1)


def test_what_is_impossible_is_told_with_its_place() -> None:
    scores = torch.zeros(3, 2, 3)
    scores[1, 0, 2] = -math.inf  # which is what was said
    first, *_ = watched(Words(scores))
    assert first.sentence == (
        "the log-probability of site 'word' of the model, data 1, steps 0 under Categorical "
        "(logits: -1.099 to -0.6931, 1 of 18 numbers are -inf): 1 of 6 numbers are -inf"
    )


def test_a_network_is_named_before_what_it_spoils() -> None:
    class Spoilt(Words):
        def forward(self, batch: Tensor) -> None:
            self.twice(torch.tensor([1e38, math.inf]))
            super().forward(batch)

    first, *rest = watched(Spoilt(torch.zeros(3, 2, 3)))
    assert first.sentence == "what the network model.twice gives: 1 of 2 numbers are inf"
    assert rest == []


def test_a_gradient_is_named_where_it_comes_first() -> None:
    class Steep(Words):
        def forward(self, batch: Tensor) -> None:
            super().forward(batch)
            pyro.factor("steep", self.twice(self.weight.abs()).sum().sqrt())

    first, *rest = watched(Steep(torch.zeros(3, 2, 3)))
    assert (
        first.sentence
        == "the gradient of what the network model.twice gives (0 to 0): 3 of 3 numbers are -inf"
    )
    assert [fault.name for fault in rest] == ["model.weight"]
    assert watched(Steep(torch.zeros(3, 2, 3)), backwards=False) == []


@pytest.mark.parametrize(
    ("numbers", "told", "masked"),
    [
        ([1.0, -math.inf], "", True),
        ([1.0, -math.inf], "1 of 2 numbers are -inf", False),
        ([math.nan, math.inf], "1 of 2 numbers are nan, 1 of 2 numbers are inf", True),
    ],
)
def test_numbers_in_words(numbers: list[float], told: str, masked: bool) -> None:
    assert not_numbers(torch.tensor(numbers), masked=masked) == told
    assert not_numbers(torch.tensor(numbers).isnan()) == ""
    assert span(torch.tensor([2.0, -1.0, -math.inf])) == "-1 to 2, 1 of 3 numbers are -inf"


class Remembering:
    """Knows which value was scored last, as decisions one after another do; stands in another one."""

    def __init__(self, base: "Remembering | None" = None):
        self.scored: Tensor | None = None
        if base is not None:
            self.base_dist = base

    def log_prob(self, value: Tensor) -> Tensor:
        if hasattr(self, "base_dist"):
            return self.base_dist.log_prob(value)
        self.scored = value
        return torch.zeros(())


def test_a_distribution_is_not_changed_by_looking_at_it() -> None:
    inner = Remembering()
    first_fault._apart(Remembering(inner)).log_prob(torch.ones(()))
    assert inner.scored is None
