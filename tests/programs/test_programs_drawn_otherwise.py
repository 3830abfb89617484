"""Objectives that draw by a handler of their own: right on the programs that they take."""

from typing import Any

import pyro
import pytest
import torch
from oracles import flat_gradient
from programs import antithetic, brute_force
from programs.catalogue import PROGRAMS
from programs.program import Given

from hardpp.errors import UsageError
from hardpp.inference import DisARM, SumAndSample, UnorderedSet

pytestmark = pytest.mark.filterwarnings("ignore:.*all data are weighed together")
CLOSE = {"rtol": 0, "atol": 1e-9}
ONE_LATENT = {
    *("changepoint", "subsampled and scaled", "subsampled outside", "abilities", "factor outside"),
    *("masked observations", "blocked", "weighted data", "mixed observations", "mixture of mixtures"),
    *("correlated", "counts of categories", "too many zeros", "sticks", "experts", "pixels"),
    *("constrained module", "named parameters", "smaller support", "values left out", "no latents"),
    *("lists of values", "rows alone", "plates the other way round", "far to the left", "functions in both"),
    *("events observed", "penalty in the plate", "factor outside, afterwards", "factor in the guide"),
}
SEVERAL_LATENTS = {
    *("hidden Markov", "hidden Markov, annotated", "hidden Markov of second order", "sequences of lengths"),
    *("tones", "backward guide", "factors", "factor in the guide", "missing data", "halting"),
    *("conditioned and intervened", "auxiliary", "of no effect", "forbidden values", "interleaved"),
    *("masked chain backwards", "half certain", "masked altogether"),
}
TOO_MANY = {"factorial hidden Markov", "common effect", "diamond"}  # values for a set of ten
UNCOUPLED = {"half labelled", "certain", "counts of each", "kinds of latents"}  # by kind or by history
UNCOUPLED |= {"counts of two", "one hot", "overdispersed guide", "mixture for a guide"}
SEVERAL = {"branches", "any of them", "until a stop", "first of a plate"}
SCALES = {"annealed", "subsampled inside"}


@pytest.mark.parametrize("title", [title for title in PROGRAMS if title not in TOO_MANY])
def test_all_values_are_the_exact_sum(title: str) -> None:
    """With as many particles as there are values, draw by draw and without forcing."""
    program = PROGRAMS[title]()
    target = brute_force.known(PROGRAMS[title]).bounds["elbo"]
    objectives: list[tuple[Any, set[str]]] = [
        (SumAndSample(5, top=4), ONE_LATENT),
        (UnorderedSet(10), ONE_LATENT | SEVERAL_LATENTS),
    ]
    for objective, takes in objectives:
        if title not in takes:
            with pytest.raises(UsageError):
                objective.estimate(program.model, program.guide)
            continue
        estimate = objective.estimate(program.model, program.guide)
        torch.testing.assert_close(estimate.bound.sum().double(), target.value.double(), **CLOSE)
        gradient = flat_gradient(estimate.surrogate, program.parameters)
        torch.testing.assert_close(gradient, target.gradient, **CLOSE)


LARGE = {"capture and recapture", "three plates deep", "crossed plates", "steps in another order"}
LARGE |= {"plates in a loop", "opened twice", "plates the other way round"}
PAIRS = [t for t in PROGRAMS if t not in UNCOUPLED | SEVERAL | SCALES | TOO_MANY | LARGE | {"halting"}]
QUICK = {
    "spins",
    "noisy or",
    "chosen features",
    "topics",
    "events",
    "plates beside one another",
    "missing data",
}


@pytest.mark.parametrize(
    "title", [pytest.param(t, marks=[] if t in QUICK else [pytest.mark.slow]) for t in PAIRS]
)
def test_antithetic_pairs(title: str) -> None:
    program = PROGRAMS[title]()
    weighed, bounds = brute_force.known(PROGRAMS[title])
    target = bounds["elbo"]
    nesting = program.nesting
    objective = DisARM(2, max_plate_nesting=nesting)
    total = value = surrogate = torch.zeros((), dtype=torch.float64)
    for probability, draws in antithetic.pairs(program, weighed):
        guide = Given(program.side_by_side(draws, nesting))(program.guide)
        with pyro.validation_enabled(objective.estimates == 0):  # as in `brute_force.expectation`
            estimate = objective.estimate(program.model, guide)
        total, value = total + probability, value + probability * estimate.bound.sum()
        surrogate = surrogate + probability * estimate.surrogate
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    torch.testing.assert_close(value.double(), target.value.double(), **CLOSE)
    torch.testing.assert_close(flat_gradient(surrogate, program.parameters), target.gradient, **CLOSE)


@pytest.mark.parametrize("title", sorted((UNCOUPLED - {"kinds of latents"}) | SEVERAL | SCALES))
def test_antithetic_pairs_are_refused(title: str) -> None:
    program = PROGRAMS[title]()
    with pytest.raises(UsageError):
        DisARM(2).estimate(program.model, program.guide)
