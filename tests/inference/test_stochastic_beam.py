"""Stochastic beam search: the law of its draws, in order; what the guide's other sites and plates become."""

import itertools
from typing import Any

import cases
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import normal
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.stochastic_beam import StochasticBeam
from hardpp.inference.weights.weigh import particle_trace
from hardpp.types import Program

MANY = 40_000
CHI_SQUARE = {5: 45.8, 7: 50.9, 11: 59.9, 23: 83.1}  # exceeded by chance once in 10^8, by degrees of freedom


def search(guide: Program, K: int, *args: Any, nesting: int = 1) -> tuple[StochasticBeam, Trace]:
    beam = StochasticBeam(K, nesting)
    return beam, beam.until_done(lambda: particle_trace(beam(guide), K, nesting, args, {}))


def check_law(drawn: Tensor, p: Tensor) -> None:
    """K values a column (K, MANY), drawn in this order without replacement from p."""
    orders = list(itertools.permutations(range(len(p)), len(drawn)))
    expected = []
    for order in orders:
        weight = left = torch.ones((), dtype=torch.float64)
        for value in order:
            weight, left = weight * p[value] / left, left - p[value]
        expected.append(weight * MANY)
    number = {order: i for i, order in enumerate(orders)}
    counts = torch.zeros(len(orders), dtype=torch.float64)
    for column in drawn.T.tolist():
        counts[number[tuple(column)]] += 1  # a KeyError: a value was drawn twice
    wanted = torch.stack(expected)
    assert ((counts - wanted) ** 2 / wanted).sum() < CHI_SQUARE[len(orders) - 1]


def values(trace: Trace, *names: str) -> Tensor:
    """Of binary or S-valued sites, as one number: (K, ...)."""
    total = torch.zeros((), dtype=torch.int64)
    for name in names:
        total = total * trace.nodes[name]["fn"].logits.shape[-1] + trace.nodes[name]["value"]
    return total


@pytest.mark.parametrize("K", [2, 3])
def test_one_latent(K: int) -> None:
    logits = torch.tensor([0.3, 1.5, -1.0, 0.0] if K == 2 else [0.3, 1.5, -1.0, 0.7], dtype=torch.float64)

    def guide() -> None:
        with pyro.plate("data", MANY, dim=-1):
            pyro.sample("z", dist.Categorical(logits=logits))

    beam, trace = search(guide, K)
    assert beam.runs == 1
    check_law(values(trace, "z"), logits.softmax(-1))


def chain_of_two(S: int = 2) -> tuple[Program, Tensor]:
    """A guide whose second latent depends on its first, and the probabilities of both together."""
    start, move = normal(S, seed=1).detach(), 1.5 * normal(S, 2, seed=2).detach()

    def guide() -> None:
        with pyro.plate("data", MANY, dim=-1):
            first = pyro.sample("z_0", dist.Categorical(logits=start))
            pyro.sample("z_1", dist.Categorical(logits=move[first]))

    joint = start.log_softmax(-1).unsqueeze(-1) + move.log_softmax(-1)
    return guide, joint.flatten().exp()


@pytest.mark.parametrize("K", [2, 3])
def test_sequences_of_two(K: int) -> None:
    guide, p = chain_of_two()
    beam, trace = search(guide, K)
    assert beam.runs == 2
    drawn = values(trace, "z_0", "z_1")
    check_law(drawn, p)
    assert beam.log_q is not None
    torch.testing.assert_close(beam.log_q, p[drawn].log())


def test_sequences_of_three() -> None:
    """Eight of them, of which one a column, in the order of a draw: a chi-square of the first alone."""
    case = cases.history(3)
    beam, trace = search(lambda symbols: case.guide(symbols.expand(MANY, 3)), 4, *case.args)
    assert beam.runs == 3
    drawn = values(trace, "z_0", "z_1", "z_2")
    assert (drawn.sort(0).values.diff(dim=0) > 0).all()
    every = {f"z_{t}": torch.arange(8).unsqueeze(-1) >> (2 - t) & 1 for t in range(3)}
    p = case.twin.joint(every)[1].squeeze(-1).exp().detach()
    counts = torch.bincount(drawn[0], minlength=8)
    assert ((counts - p * MANY) ** 2 / (p * MANY)).sum() < CHI_SQUARE[7]


def test_fewer_values_than_particles() -> None:
    """Each is drawn once, and the first stands in for those that are missing."""
    guide, p = chain_of_two()
    beam, trace = search(guide, 6)
    drawn = values(trace, "z_0", "z_1")
    assert (drawn[:4].sort(0).values == torch.arange(4).unsqueeze(-1)).all()
    assert (drawn[4:] == drawn[0]).all()
    assert beam.log_q is not None
    torch.testing.assert_close(beam.log_q[:4], p[drawn[:4]].log())
    assert (beam.log_q[4:] == -torch.inf).all()


def test_a_beam_that_is_not_full_at_first_is_filled_later() -> None:
    """One value without probability, of two and of three: a single beginning, then two, then six."""
    nothing = -torch.inf

    def guide() -> None:
        with pyro.plate("data", 50, dim=-1):
            pyro.sample("a", dist.Categorical(logits=torch.tensor([nothing, 0.0])))
            b = pyro.sample("b", dist.Categorical(logits=torch.tensor([0.5, nothing, 0.0])))
            pyro.sample("c", dist.Categorical(logits=torch.zeros(3, 3)[b]))

    beam, trace = search(guide, 5)
    drawn = values(trace, "a", "b", "c")
    assert beam.log_q is not None
    assert beam.log_q.isfinite().all()
    assert (drawn.sort(0).values.diff(dim=0) > 0).all()
    assert torch.isin(drawn, torch.tensor([9, 10, 11, 15, 16, 17])).all()


def test_a_masked_latent_is_one_value() -> None:
    """Where the second latent is masked two sequences are all there are; it is drawn as the guide has it."""
    _, p = chain_of_two()
    mask = torch.arange(MANY) % 2 == 0

    def masked() -> None:
        with pyro.plate("data", MANY, dim=-1):
            first = pyro.sample("z_0", dist.Categorical(probs=p.reshape(2, 2).sum(-1)))
            with poutine.mask(mask=mask):
                pyro.sample("z_1", dist.Categorical(probs=p.reshape(2, 2)[first]))

    beam, trace = search(masked, 4)
    first, both = (values(trace, *names) for names in (("z_0",), ("z_0", "z_1")))
    assert beam.log_q is not None
    assert beam.log_q[:, mask].isfinite().all()
    assert (beam.log_q[2:, ~mask] == -torch.inf).all()
    q = p.reshape(2, 2).sum(-1)
    torch.testing.assert_close(beam.log_q[:2, ~mask], q[first[:2, ~mask]].log())
    assert (first[0, ~mask] != first[1, ~mask]).all()
    counts = torch.bincount(both[:2, ~mask].flatten(), minlength=4).double()
    wanted = MANY / 2 * p / q.repeat_interleave(2)
    assert ((counts - wanted) ** 2 / wanted).sum() < CHI_SQUARE[5]  # two degrees of freedom, to be safe
    assert (both[:, mask].sort(0).values == torch.arange(4).unsqueeze(-1)).all()


def test_other_latents_are_drawn_once_for_all_that_begins_with_them() -> None:
    def guide() -> None:
        with pyro.plate("data", 30, dim=-1):
            x = pyro.sample("x", dist.Normal(torch.zeros(()), 1.0).expand([2]).to_event(1))
            a = pyro.sample("a", dist.Categorical(logits=torch.stack([x[..., 0], x[..., 1]], -1)))
            y = pyro.sample("y", dist.Normal(a.float(), 1.0))
            pyro.sample("b", dist.Categorical(logits=torch.stack([y, -y, 0 * y], -1)))

    beam, trace = search(guide, 4)
    x, y = trace.nodes["x"]["value"], trace.nodes["y"]["value"]
    assert beam.runs == 3
    assert (x == x[0]).all()
    a, b = values(trace, "a"), values(trace, "b")
    for i, j in itertools.combinations(range(4), 2):
        assert ((y[i] == y[j]) == (a[i] == a[j])).all()
        assert ((a[i] != a[j]) | (b[i] != b[j])).all()
    found = sum(trace.nodes[name]["fn"].log_prob(trace.nodes[name]["value"]) for name in ("a", "b"))
    torch.testing.assert_close(found.double(), beam.log_q, rtol=0, atol=1e-5)


def test_all_runs_see_the_same_subsample() -> None:
    seen = []

    def guide() -> None:
        with pyro.plate("data", 1000, subsample_size=5) as index:
            seen.append(index)
            for t in range(3):
                pyro.sample(f"z_{t}", dist.Categorical(logits=torch.zeros(2)))

    beam, trace = search(guide, 3)
    assert beam.runs == len(seen) == 3
    for index in seen:
        assert (index == seen[0]).all()
    assert (trace.nodes["data"]["value"] == seen[0]).all()


def test_particles_are_left_of_all_plates_and_given_values_stay() -> None:
    def guide() -> None:
        with pyro.plate("data", 4, dim=-2), pyro.plate("step", 5, dim=-1):
            pyro.sample("z", dist.Categorical(logits=torch.zeros(6)))

    _, trace = search(guide, 3, nesting=2)
    assert trace.nodes["z"]["value"].shape == (3, 4, 5)
    given = torch.zeros(3, 4, 5, dtype=torch.int64)
    beam, trace = search(poutine.condition(guide, data={"z": given}), 3, nesting=2)
    assert trace.nodes["z"]["value"] is given
    assert beam.log_q is None


def test_latents_of_different_plates_are_refused() -> None:
    def guide() -> None:
        with pyro.plate("data", 4, dim=-2):
            pyro.sample("a", dist.Categorical(logits=torch.zeros(2)))
            with pyro.plate("step", 5, dim=-1):
                pyro.sample("b", dist.Categorical(logits=torch.zeros(2)))

    sentence = (
        r"'b' has shape \(4, 5\) in the guide's plates, but \(4, 1\) is wanted, that of the Categorical"
    )
    with pytest.raises(UsageError, match=sentence):
        search(guide, 3, nesting=2)
