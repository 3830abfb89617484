"""Draws and modes of the exact posterior against sums over every latent tuple."""

from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import ENUMERABLE
from inference.random_programs import RandomProgram, small, written_out
from oracles import Latent, Values
from pyro import poutine
from scipy.stats import chi2
from torch import Tensor, nn

from hardpp.errors import NumericalError, UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.ops.elimination import trace_back
from hardpp.ops.marginal import DRAWS, IMPOSSIBLE, Factor, at, without

CLOSE = {"rtol": 0, "atol": 1e-9}
RANDOM = small(100)

MORE = {
    **ENUMERABLE,
    "chain-batch": lambda: cases.chain((3, 1, 2)),
    "chain-one-value": lambda: cases.chain((2, 1), S=1),
    "chain-hole": lambda: hole(cases.chain((3,))),
    "two-supports-batch": lambda: cases.two_supports(2),
    "alignment-one-of-all": lambda: cases.alignment(batch=cases.alignment_batch((1,), (1,))),
}


def hole(case: cases.Case) -> cases.Case:
    """A chain that is masked out in its middle, where later steps see the first value."""
    symbols, _ = case.args
    mask = torch.tensor([[True, False, True]])
    latents = {f"z_{t}": Latent(2, mask[:, t]) for t in range(3)}

    def joint(values: Values) -> tuple[Tensor, Tensor]:
        guide = case.guide.table
        return oracles.chain(case.model.transition, case.model.emission, guide, symbols, mask, values)

    return cases.Case(case.model, case.guide, (symbols, mask), oracles.Twin(latents, joint))


def log_conditionals(values: Values, model: Callable[..., Any], *args: Any) -> Tensor:
    """log p(z | y) at every tuple, (C,): the product of what `sample_posterior` draws from on its way."""
    objective = ExactMarginal()
    with torch.no_grad():
        graph = objective._graph(model, args, {})
        steps = graph.eliminate().steps
    forced, terms = {}, []
    for name, value in values.items():
        dims = DRAWS + graph.plates_in_order(name)
        kept = "".join(d for d, size in zip(dims, value.shape, strict=True) if size > 1 or d == DRAWS)
        forced[graph.latents[name]] = Factor(
            value.reshape(len(value), *(graph.sizes[d] for d in kept[1:])), kept
        )

    def choose(variable: str, factor: Factor) -> Factor:
        log_p = factor.log_value.clamp_min(IMPOSSIBLE).log_softmax(factor.dims.index(variable))
        term = at(Factor(log_p, factor.dims), {variable: forced[variable]})
        terms.append(without(term, set(term.dims) - {DRAWS}).log_value)
        return forced[variable]

    trace_back(steps, choose)
    return sum(terms, torch.zeros(len(next(iter(values.values()))), dtype=torch.float64))


@pytest.mark.parametrize("name", MORE)
def test_conditionals_multiply_to_the_posterior(name: str) -> None:
    case = MORE[name]()
    values = oracles.tuples(case.twin.latents)
    with torch.no_grad():
        log_p, _ = case.twin.joint(values)
    found = log_conditionals(values, case.model, *case.args).exp()
    torch.testing.assert_close(found, log_p.sum(-1).softmax(0), **CLOSE)


def test_conditionals_of_random_programs() -> None:
    for seed in RANDOM:
        program = RandomProgram(seed)
        with torch.no_grad():
            values, log_p = written_out(program, program.latents)
        found = log_conditionals(values, program).exp()
        torch.testing.assert_close(found, log_p.softmax(0), **CLOSE, msg=lambda m, s=seed: f"seed {s}: {m}")


# --- draws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE)
def test_draws_are_of_the_program_s_shape_and_zero_where_masked(name: str) -> None:
    case = MORE[name]()
    draws = ExactMarginal().sample_posterior(case.model, case.guide, *case.args, num_samples=5)
    assert draws.keys() == case.twin.latents.keys()
    for site, latent in case.twin.latents.items():
        assert draws[site].dtype == torch.int64
        assert draws[site].shape == (5, *latent.mask.shape)
        assert (draws[site] * ~latent.mask == 0).all()
        assert ((draws[site] >= 0) & (draws[site] < latent.values)).all()


class Coins(nn.Module):
    """A global z, two data that know it, and two steps a datum that know their datum."""

    def forward(self) -> None:
        table = torch.tensor([[0.3, -0.4], [-0.2, 0.5]])
        z = pyro.sample("z", dist.Categorical(logits=table[0]))
        with pyro.plate("data", 2, dim=-2):
            w = pyro.sample("w", dist.Categorical(logits=table[z]))
            with pyro.plate("steps", 2, dim=-1):
                u = pyro.sample("u", dist.Categorical(logits=table[w]))
                seen = torch.tensor([[0, 1], [1, 1]])
                pyro.sample("y", dist.Categorical(logits=table[u]), obs=seen)


def test_frequencies() -> None:
    """Pearson's statistic over all 128 tuples of `Coins`; a right sampler fails one seed in 1e4."""
    K = 50_000
    draws = ExactMarginal().sample_posterior(Coins(), lambda: None, num_samples=K)
    code = torch.cat([draws[name].reshape(K, -1) for name in "zwu"], -1) @ 2 ** torch.arange(7)
    tuples = torch.arange(128).unsqueeze(-1) // 2 ** torch.arange(7) % 2
    given = {"z": tuples[:, :1, None], "w": tuples[:, 1:3, None], "u": tuples[:, 3:].reshape(-1, 2, 2)}
    trace = poutine.trace(poutine.condition(Coins(), given)).get_trace()
    terms = [trace.nodes[name]["fn"].log_prob(trace.nodes[name]["value"]) for name in "zwuy"]
    expected = K * sum(term.double().sum((-2, -1)) for term in terms).softmax(0)
    assert expected.min() > 5
    statistic = ((torch.bincount(code, minlength=128) - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(1e-4, 127)


def test_draws_follow_torch_s_generator() -> None:
    case = cases.chain((3, 2))
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws = ExactMarginal().sample_posterior(case.model, case.guide, *case.args, num_samples=40)
        seen.append(torch.stack(list(draws.values())))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_draws_of_a_long_chain_know_their_neighbours() -> None:
    """A chain that never moves: every draw is constant, and both values occur."""
    T = 200
    stay = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0], [0.0, 0.0]])

    def model() -> None:
        with pyro.plate("data", 3, dim=-1):
            z = torch.full((3,), 2)
            for t in pyro.markov(range(T)):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=stay[z]))

    draws = ExactMarginal().sample_posterior(model, lambda: None, num_samples=30)
    z = torch.stack([draws[f"z_{t}"] for t in range(T)])
    assert (z == z[0]).all()
    assert z[0].unique().tolist() == [0, 1]


@pytest.mark.parametrize("number", [0, -1])
def test_no_samples(number: int) -> None:
    case = cases.chain()
    with pytest.raises(UsageError, match=f"at least 1 sample is needed, got {number}"):
        ExactMarginal().sample_posterior(case.model, case.guide, *case.args, num_samples=number)


def test_impossible_data_have_no_posterior() -> None:
    never = torch.tensor([0.0, 0.0, -torch.inf])

    def model() -> None:
        with pyro.plate("data", 3, dim=-1):
            z = pyro.sample("z", dist.Bernoulli(0.5))
            pyro.factor("y", never + 0.0 * z)

    estimate = ExactMarginal().estimate(model, lambda: None)
    torch.testing.assert_close(estimate.bound, never)
    assert ExactMarginal().mode(model, lambda: None)[1][2] == -torch.inf
    with pytest.raises(NumericalError, match=r"datum 2 of the batch has log p\(y\) = -inf"):
        ExactMarginal().sample_posterior(model, lambda: None)


# --- modes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE)
def test_mode(name: str) -> None:
    case = MORE[name]()
    values, log_joint = ExactMarginal().mode(case.model, case.guide, *case.args)
    with torch.no_grad():
        log_p, _ = case.twin.joint(oracles.tuples(case.twin.latents))
        at_mode, _ = case.twin.joint({site: value.unsqueeze(0) for site, value in values.items()})
    torch.testing.assert_close(log_joint, at_mode.squeeze(0), **CLOSE)
    torch.testing.assert_close(log_joint.sum(), log_p.sum(-1).max(), **CLOSE)
    for site, latent in case.twin.latents.items():
        assert values[site].dtype == torch.int64
        assert values[site].shape == latent.mask.shape
        assert (values[site] * ~latent.mask == 0).all()


def test_modes_of_random_programs() -> None:
    for seed in RANDOM:
        program = RandomProgram(seed)
        with torch.no_grad():
            values, log_p = written_out(program, program.latents)
        mode, log_joint = ExactMarginal().mode(program, lambda: None)
        torch.testing.assert_close(log_joint.sum(), log_p.max(), **CLOSE)
        hit = torch.ones(len(log_p), dtype=torch.bool)
        for name, value in values.items():
            assert mode[name].shape == value.shape[1:], seed
            hit &= (value == mode[name]).reshape(len(value), -1).all(-1)
        assert log_p[hit].tolist() == [log_p.max()], seed


def test_the_mode_is_not_the_most_probable_values_one_by_one() -> None:
    """p(a, b): 0.4 at (0, 0), 0.3 at (1, 1) and (1, 2): a is 1 more often than not."""
    table = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]).log()

    def model() -> None:
        a = pyro.sample("a", dist.Categorical(torch.tensor([0.4, 0.6])))
        pyro.sample("b", dist.Categorical(logits=table[a]))

    values, log_joint = ExactMarginal().mode(model, lambda: None)
    assert {name: int(value) for name, value in values.items()} == {"a": 0, "b": 0}
    torch.testing.assert_close(log_joint, torch.tensor([0.4]).log())
    assert ExactMarginal().posterior(model, lambda: None)["a"].argmax() == 1


def test_the_mode_is_scaled_as_the_bound_is() -> None:
    case = cases.chain((3, 2))
    model = poutine.scale(case.model, scale=3.0)
    _, expected = ExactMarginal().mode(case.model, case.guide, *case.args)
    torch.testing.assert_close(ExactMarginal().mode(model, case.guide, *case.args)[1], 3.0 * expected)
