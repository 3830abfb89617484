"""Dreams: what is drawn, where it goes, and what is refused."""

from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
import utterances
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.weights.dreams import Dream, dream, sleep_phi
from hardpp.types import SequenceBatch

LOGITS = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


def model(pair: Pair) -> None:
    with pyro.plate("data", len(pair.y), dim=-1):
        z = pyro.sample("z", dist.Categorical(logits=LOGITS))
        pyro.sample("y", dist.Categorical(logits=LOGITS[z].unsqueeze(-1) * LOGITS), obs=pair.y)


def test_the_dreamt_symbols_stand_in_place_of_the_target() -> None:
    program, data = cases.latent_alignment(), cases.alignment_batch((3, 2), (2, 3))
    z, y = torch.tensor([[2, 0, 1], [1, 1, 0]]), torch.tensor([[3, 1, 2], [0, 2, 2]])
    with oracles.Force({sites.ALIGNMENT: z, sites.SYMBOL: y}):
        dreamt = dream(program, (data,), {})
    (batch,) = dreamt.args
    assert isinstance(batch, SequenceBatch)
    assert torch.equal(batch.target, y)
    for field in ("source", "source_mask", "target_mask"):
        assert getattr(batch, field) is getattr(data, field)
    assert torch.equal(dreamt.latents[sites.ALIGNMENT], z)
    assert sites.SYMBOL not in dreamt.latents


def test_a_dream_has_the_shape_and_dtype_of_the_data_and_no_gradient() -> None:
    program, data = cases.latent_alignment(), cases.alignment_batch((3, 2), (2, 3))
    dreamt = dream(program, (data,), {})
    assert dreamt.args[0].target.shape == data.target.shape
    assert dreamt.args[0].target.dtype == data.target.dtype
    assert dreamt.latents[sites.ALIGNMENT].shape == data.target.shape

    short = torch.tensor([2, 0], dtype=torch.int32)
    assert dream(model, (Pair(torch.zeros(2), short),), {}).args[0].y.dtype == torch.int32

    mean = torch.tensor(0.5, requires_grad=True)

    def normal(y: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(mean, 1.0))
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)

    dreamt = dream(normal, (torch.zeros(()),), {})
    assert not dreamt.latents["z"].requires_grad
    assert not dreamt.args[0].requires_grad


def test_the_observed_tensor_is_found_wherever_it_stands() -> None:
    x, y, said = torch.zeros(2), torch.tensor([2, 0]), torch.tensor([1, 1])

    def program(nested: Any, *, again: Tensor) -> None:
        model(nested["pair"][0])

    with oracles.Force({"y": lambda fn: said}):
        dreamt = dream(program, ({"pair": [Pair(x, y)], "n": 3},), {"again": y[:]})
    nested = dreamt.args[0]
    assert isinstance(nested["pair"], list)
    assert isinstance(nested["pair"][0], Pair)
    assert torch.equal(nested["pair"][0].y, said)
    assert nested["pair"][0].x is x
    assert nested["n"] == 3
    assert torch.equal(dreamt.kwargs["again"], said)


def test_an_equal_tensor_is_not_the_observed_one() -> None:
    y, said = torch.tensor([2, 0]), torch.tensor([1, 1])
    with oracles.Force({"y": lambda fn: said}):
        dreamt = dream(model, (Pair(y.clone(), y),), {})
    assert torch.equal(dreamt.args[0].x, y)
    assert torch.equal(dreamt.args[0].y, said)


def test_a_view_of_a_part_is_not_the_observed_tensor() -> None:
    """The first column of a target starts where the target does, and so do its first data."""
    y, x = torch.tensor([2, 0, 1]), torch.zeros(3)
    with pytest.raises(UsageError, match="what site 'y' observes is no tensor among the arguments"):
        dream(lambda pair: model(Pair(x, pair.y[:2])), (Pair(x, y),), {})
    case = cases.chain((3, 2))
    with pytest.raises(
        UsageError, match=r"what site 'y_0' observes is no tensor among the arguments.*dreamt="
    ):
        dream(case.model, case.args, {})


def test_dreamt_puts_observations_where_the_guide_reads_them() -> None:
    case = cases.chain((3, 2))

    def dreamt(drawn: dict[str, Tensor], args: Any, kwargs: Any) -> Any:
        return (torch.stack([drawn[f"y_{t}"] for t in range(3)], 1), args[1]), kwargs

    y = torch.tensor([[2, 1, 0], [0, 0, 2]])
    with oracles.Force({f"y_{t}": lambda fn, t=t: y[:, t] for t in range(3)}):
        found = dream(case.model, case.args, {}, dreamt)
    assert torch.equal(found.args[0], y)
    assert found.args[1] is case.args[1]
    assert found.latents.keys() == {"data", "z_0", "z_1", "z_2"}


def test_a_factor_cannot_be_dreamt() -> None:
    def program(pair: Pair) -> None:
        model(pair)
        pyro.factor("penalty", torch.zeros(()))

    with pytest.raises(UsageError, match="site 'penalty' is a factor"):
        dream(program, (Pair(torch.zeros(2), torch.tensor([2, 0])),), {})


def test_what_cannot_be_drawn_cannot_be_dreamt() -> None:
    program, batch = utterances.online(), utterances.utterances()
    with pytest.raises(UsageError, match=f"site '{sites.SYMBOL}' cannot be drawn, so nothing can be dreamt"):
        dream(program, (batch,), {})


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_score_of_a_dream_is_masked_and_scaled(scale: float) -> None:
    case = cases.chain((3, 2))
    _, mask = case.args
    z = torch.tensor([[1, 0, 1], [0, 0, 1]])
    latents = {f"z_{t}": z[:, t] for t in range(3)}
    found = sleep_phi(poutine.scale(case.guide, scale=scale), Dream(latents, case.args, {}))
    _, log_q = case.twin.joint({name: value.unsqueeze(0) for name, value in latents.items()})
    torch.testing.assert_close(found, scale * log_q.sum(), rtol=1e-12, atol=0)
    assert not mask.all()


def test_the_prior_can_be_shown_a_dream() -> None:
    case = cases.chain((3,))
    z = torch.tensor([1, 0, 1])
    dreamt = Dream({f"z_{t}": z[t : t + 1] for t in range(3)}, case.args, {})
    table = case.model.transition.log_softmax(-1)
    exact = table[2, 1] + table[1, 0] + table[0, 1]
    torch.testing.assert_close(sleep_phi(Prior(case.model), dreamt), exact)


def test_a_guide_sees_the_data_that_were_subsampled() -> None:
    def program(observed: bool, y: Tensor) -> None:
        with pyro.plate("data", 50, subsample_size=2, dim=-1) as index:
            logits = torch.arange(50.0)[index].unsqueeze(-1) * LOGITS
            z = pyro.sample("z", dist.Categorical(logits=logits))
            if observed:
                pyro.sample("y", dist.Normal(z.double(), 1.0), obs=y)

    y = torch.zeros(2).double()
    dreamt = dream(lambda y: program(True, y), (y,), {})
    index, z = dreamt.latents["data"], dreamt.latents["z"]
    exact = (torch.arange(50.0)[index].unsqueeze(-1) * LOGITS).log_softmax(-1)
    exact = 25 * exact.gather(-1, z.unsqueeze(-1)).sum()
    torch.testing.assert_close(sleep_phi(lambda y: program(False, y), dreamt), exact)


def test_a_dream_without_a_latent_of_the_guide() -> None:
    case = cases.chain((2,))
    with pytest.raises(UsageError, match="no value of latent site 'z_1', which the guide draws"):
        sleep_phi(case.guide, Dream({"z_0": torch.tensor([0])}, case.args, {}))


def test_a_dream_that_the_guide_cannot_draw() -> None:
    """A sparse guide beside a model of full support: nothing would make such a loss finite."""
    data = Pair(torch.zeros(2), torch.tensor([1, 0]))

    def guide(pair: Pair) -> None:
        with pyro.plate("data", 2, dim=-1):
            never = torch.tensor([0.0, -torch.inf, 0.0], dtype=torch.float64)
            pyro.sample("z", dist.Categorical(logits=LOGITS + never))

    dreamt = Dream({"z": torch.tensor([0, 1])}, (data,), {})
    with pytest.raises(
        UsageError, match=r"gives what the model dreams at site 'z' no probability.*insomnia=1"
    ):
        sleep_phi(guide, dreamt)
    assert sleep_phi(guide, dreamt._replace(latents={"z": torch.tensor([0, 2])})).isfinite()
