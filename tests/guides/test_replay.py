"""A guide that replays what was recorded."""

from typing import Any

import glimpses
import pyro
import pyro.distributions as dist
import pytest
import saccaders
import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.guides.replay import Known, Replay
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import sample_sites

WHERE = torch.tensor([True, False])


def test_a_chain_goes_on_from_what_was_recorded() -> None:
    """Saccader never visits a place twice: draws avoid the recorded places before them, in those data."""
    batch, model = saccaders.images(2), saccaders.saccader(3)
    known = {sites.glimpse(1): Known(torch.tensor([2, 0]), WHERE)}
    for base in (Prior(model), saccaders.label_aware(model)):
        trace = particle_trace(Replay(base, lambda batch: known), 40, 1, (batch,), {})
        first, second, third = (trace.nodes[sites.glimpse(g)]["value"].expand(40, 2) for g in (1, 2, 3))
        assert (first[:, 0] == 2).all()
        assert len(first[:, 1].unique()) > 1
        assert not (second[:, 0] == 2).any()
        assert not (third[:, 0] == 2).any()
        assert len(second[:, 0].unique()) == 3
        assert list(sample_sites(trace)) == [sites.glimpse(g) for g in (1, 2, 3)]


@pytest.mark.parametrize("nothing", [None, {}])
def test_with_nothing_recorded_it_is_its_base(nothing: Any) -> None:
    batch, model = glimpses.images(2), glimpses.classifier()
    base = glimpses.informed(model)
    values = []
    for guide in (base, Replay(base, lambda batch: nothing)):
        torch.manual_seed(0)
        trace = poutine.trace(guide).get_trace(batch)
        values.append((trace.nodes[sites.LOCATION]["value"], type(trace.nodes[sites.LOCATION]["fn"])))
    assert torch.equal(values[0][0], values[1][0])
    assert values[0][1] is values[1][1]


def test_it_says_whose_prior_it_is() -> None:
    model = glimpses.classifier()
    assert Replay(Prior(model), lambda batch: None).prior_of is model
    assert Replay(glimpses.informed(model), lambda batch: None).prior_of is None
    assert Replay(Prior(model), lambda batch: None).max_plate_nesting == 1


def drawn(name: str, observed: bool = False) -> Any:
    def guide() -> None:
        with pyro.plate("data", 2):
            obs = WHERE.long() if observed else None
            pyro.sample(name, dist.Categorical(logits=torch.zeros(2, 3)), obs=obs)

    return guide


@pytest.mark.parametrize("base", [drawn("other"), drawn("z", observed=True)])
def test_values_of_a_site_that_is_not_drawn_are_refused(base: Any) -> None:
    guide = Replay(base, lambda: {"z": Known(torch.tensor([0, 1]), WHERE)})
    with pytest.raises(UsageError, match="values of site 'z' were recorded, which the guide does not draw"):
        guide()


@pytest.mark.parametrize("value", [torch.zeros(3, dtype=torch.int64), torch.zeros(2, 1, dtype=torch.int64)])
def test_values_of_another_shape_are_refused(value: Tensor) -> None:
    guide = Replay(drawn("z"), lambda: {"z": Known(value, WHERE)})
    with pytest.raises(ValueError, match="values of shape"):
        guide()
