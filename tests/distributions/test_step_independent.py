"""A StepIndependent site is a chain of latents in every respect but its price."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from hardpp.distributions.step_independent import StepIndependent
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.tabulate import Weighing, tabulate
from hardpp.inference.weights.weight_table import WeightTable

B, T, S, K = 2, 3, 4, 2
MASK = torch.tensor([[True, True, True], [True, True, False]])


def logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PRIOR, EMISSION, POSTERIOR = logits(0, B, T, S), logits(1, S, 5), logits(2, B, T, S)
SYMBOLS = torch.tensor([[0, 4, 2], [3, 1, 0]])


def vectorised_model(masked: bool = True) -> None:
    mask = MASK if masked else torch.ones_like(MASK)
    with pyro.plate("data", B):
        z = pyro.sample("z", StepIndependent(dist.Categorical(logits=PRIOR).mask(mask)))
        pyro.sample("y", StepIndependent(dist.Categorical(logits=EMISSION[z]).mask(mask)), obs=SYMBOLS)
        pyro.sample("end", dist.Bernoulli(logits=z.sum(-1).double()), obs=torch.ones(B, dtype=torch.float64))


def vectorised_guide(masked: bool = True) -> None:
    mask = MASK if masked else torch.ones_like(MASK)
    with pyro.plate("data", B):
        pyro.sample("z", StepIndependent(dist.Categorical(logits=POSTERIOR).mask(mask)))


def loop_model(masked: bool = True) -> None:
    steps = []
    with pyro.plate("data", B):
        for t in range(T):
            with poutine.mask(mask=MASK[:, t] if masked else True):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=PRIOR[:, t]))
                pyro.sample(f"y_{t}", dist.Categorical(logits=EMISSION[z]), obs=SYMBOLS[:, t])
                steps.append(z)
        total = sum(steps).double()
        pyro.sample("end", dist.Bernoulli(logits=total), obs=torch.ones(B, dtype=torch.float64))


def loop_guide(masked: bool = True) -> None:
    with pyro.plate("data", B):
        for t in range(T):
            with poutine.mask(mask=MASK[:, t] if masked else True):
                pyro.sample(f"z_{t}", dist.Categorical(logits=POSTERIOR[:, t]))


def tables(masked: bool) -> tuple[WeightTable, WeightTable]:
    guided = particle_trace(vectorised_guide, K, 1, (masked,), {})
    z = guided.nodes["z"]["value"]
    modelled = particle_trace(poutine.replay(vectorised_model, trace=guided), K, 1, (masked,), {})
    data = {f"z_{t}": z[..., t] for t in range(T)}
    looped = poutine.trace(poutine.condition(loop_guide, data=data))
    guide_trace = particle_trace(looped, K, 1, (masked,), {})
    for name in data:
        guide_trace.nodes[name]["is_observed"] = False
    model_trace = particle_trace(poutine.replay(loop_model, trace=guide_trace), K, 1, (masked,), {})
    block, loop = (modelled, guided), (model_trace, guide_trace)
    return tabulate([block], K, Weighing(1)), tabulate([loop], K, Weighing(1))


@pytest.mark.parametrize("masked", [True, False])
def test_the_table_is_that_of_a_loop(masked: bool) -> None:
    block, loop = tables(masked)
    assert block.log_p.shape == (K, B, T + 1)
    close = {"rtol": 0, "atol": 1e-12}
    for field in ("log_p", "log_q", "score", "log_prior", "log_weights"):
        torch.testing.assert_close(getattr(block, field), getattr(loop, field), **close)
    assert torch.equal(block.values, loop.values)
    expected = MASK if masked else torch.ones_like(MASK)
    for table in (block, loop):
        live = table.live.expand(K, B, T + 1)
        assert not live[..., 0].any()
        assert torch.equal(live[0, :, 1:], expected)


def test_to_pyro_it_is_an_ordinary_event() -> None:
    fn = StepIndependent(dist.Categorical(logits=PRIOR).mask(MASK))
    value = fn.sample()
    assert (fn.batch_shape, fn.event_shape) == ((B,), (T,))
    torch.testing.assert_close(fn.log_prob(value), fn.step_log_prob(value).sum(-1))
    wide = fn.expand((K, B))
    assert isinstance(wide, StepIndependent)
    assert wide.step_log_prob(wide.sample()).shape == wide.step_mask().shape == (K, B, T)
    assert StepIndependent(dist.Categorical(logits=PRIOR)).step_mask() is True


def test_steps_of_another_number_come_after_all_of_them() -> None:
    def model() -> None:
        with pyro.plate("data", B):
            pyro.sample("z", StepIndependent(dist.Categorical(logits=PRIOR)))
            pyro.sample("y", StepIndependent(dist.Categorical(logits=PRIOR[:, :2])), obs=SYMBOLS[:, :2] % S)

    guided = particle_trace(lambda: vectorised_guide(False), 1, 1, (), {})
    scored = particle_trace(poutine.replay(model, trace=guided), 1, 1, (), {})
    table = tabulate([(scored, guided)], 1, Weighing(1))
    own = PRIOR.log_softmax(-1).gather(-1, guided.nodes["z"]["value"].unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(table.log_p[0, :, 1:-1], own[:, :-1])
    assert (table.log_p[0, :, -1] < own[:, -1]).all()


def test_a_base_without_a_dim_for_the_steps() -> None:
    with pytest.raises(ValueError, match="last batch dim holds the steps, but Bernoulli has none"):
        StepIndependent(dist.Bernoulli(0.5))
