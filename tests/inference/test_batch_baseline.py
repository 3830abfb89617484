"""The batch baseline: the mean return of all other particles of all data.

That it is without bias on programs of all kinds, `tests/programs` says.
"""

from collections.abc import Callable

import pyro
import pytest
import torch
from oracles import flat_gradient
from programs import brute_force
from programs.catalogue import PROGRAMS
from programs.program import Given, InTurn
from programs.tables import C, Tables
from torch import Tensor

from hardpp.inference import Hybrid, ScoreFunctionELBO

CLOSE = {"rtol": 0, "atol": 1e-9}
NEVER = torch.tensor([0.0, 0.0, -torch.inf]).double()


def gradient(
    data: list[int], draws: list[list[int]], make: Callable[..., ScoreFunctionELBO] = ScoreFunctionELBO
) -> Tensor:
    """The guide's, by datum, where the third value is impossible; rows of draws are particles."""
    t = Tables(311)
    prior, say, q = t(3), t(3, 2), t(2, 3)
    y, rows = torch.tensor([1, 0])[data], q[data]

    def model() -> None:
        with pyro.plate("data", len(data)):
            z = pyro.sample("z", C(prior + NEVER))
            pyro.sample("y", C(say[z]), obs=y)

    def guide() -> None:
        with pyro.plate("data", len(data)):
            pyro.sample("z", C(rows))

    value = torch.tensor(draws)
    objective = make(len(draws), baseline="batch", max_plate_nesting=1)
    with Given({"z": value if len(draws) > 1 else value[0]}):
        return flat_gradient(objective.estimate(model, guide).surrogate, [q]).reshape(2, 3)


def test_one_particle_of_one_datum_is_compared_with_nothing() -> None:
    def plain(K: int, *, baseline: str, max_plate_nesting: int) -> ScoreFunctionELBO:
        return ScoreFunctionELBO(K, max_plate_nesting=max_plate_nesting)

    assert torch.equal(gradient([0], [[1]]), gradient([0], [[1]], plain))
    assert not torch.equal(gradient([0, 1], [[1, 1]]), gradient([0, 1], [[1, 1]], plain))


def test_an_impossible_datum_is_not_compared_with() -> None:
    both = gradient([0, 1], [[0, 1], [1, 2]])
    alone = gradient([0], [[0], [1]])
    assert both.isfinite().all()
    assert (both[1] == 0).all()
    torch.testing.assert_close(both[0], alone[0], **CLOSE)
    assert alone[0].abs().max() > 1e-2


def test_one_particle_beside_an_impossible_datum() -> None:
    found = gradient([0, 1], [[0, 2]])
    torch.testing.assert_close(found, gradient([0], [[0]]), **CLOSE)


@pytest.mark.parametrize(
    "title", ["sequences of lengths", "halting", "three plates deep", "one latent for all"]
)
def test_particles_one_by_one_are_those_that_run_at_once(title: str) -> None:
    program, found = PROGRAMS[title](), []
    drawn = program.side_by_side(program.tuples[:2], program.nesting)
    for together in (True, False):
        objective = ScoreFunctionELBO(
            2, baseline="batch", max_plate_nesting=program.nesting, vectorize_particles=together
        )
        if together:
            with Given(drawn):
                estimate = objective.estimate(program.model, program.guide)
        else:
            turns = InTurn(program.guide, program.tuples[:2])
            estimate = objective.estimate(program.model, turns)
        found.append(flat_gradient(estimate.surrogate, program.parameters))
    torch.testing.assert_close(found[0], found[1], **CLOSE)


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("title", ["missing data", "hidden Markov", "masked steps"])
def test_rewards_have_it_too(title: str, K: int) -> None:
    """The mean gradient is the one without a baseline."""
    program, found = PROGRAMS[title](), []
    weighed = brute_force.weighed(program)
    for baseline in ("batch", None):
        objective = Hybrid(K, baseline=baseline, max_plate_nesting=program.nesting)
        found.append(brute_force.expectation(program, weighed, objective, K).gradient)
    torch.testing.assert_close(found[0], found[1], **CLOSE)
    assert found[0].abs().max() > 1e-2
