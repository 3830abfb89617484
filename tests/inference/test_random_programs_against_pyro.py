"""Random programs of mixed plates: the value is Pyro's at the same draw, the gradient that of brute force."""

import functools
import warnings

import pytest
import torch
from inference.mixed_programs import few, mixed
from oracles import flat_gradient
from programs import brute_force
from programs.brute_force import Target
from programs.program import Given, Program
from pyro.infer import Trace_ELBO

from hardpp.errors import UsageError
from hardpp.inference import VIMCO, EnumeratedELBO, ExactMarginal, ScoreFunctionELBO

SEEDS = few(120, most_tuples=12)
PAIRS = 5  # tuples of a program whose pairs are few enough
# With one particle a site outside of a scaled plate is credited with the scale of that plate.


# One in four is quick.
every_seed = pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=[pytest.mark.slow] if i % 4 else []) for i, s in enumerate(SEEDS)]
)


def programs(seed: int) -> Program:
    """The program of a seed that has one."""
    program = mixed(seed)
    assert program is not None
    return program


@functools.cache
def known(seed: int) -> brute_force.Known:
    """What brute force says of the program of a seed."""
    return brute_force.known(functools.partial(programs, seed))


def close(got: Target, expected: Target, program: Program) -> None:
    """Equal but for rounding."""
    single = program.parameters[0].dtype == torch.float32
    tolerance = {"rtol": 0, "atol": 2e-5 if single else 1e-9}
    torch.testing.assert_close(got.value.double(), expected.value.double(), **tolerance)
    torch.testing.assert_close(got.gradient, expected.gradient, **tolerance)


@every_seed
def test_the_value_is_that_of_pyro_at_the_same_draw(seed: int) -> None:
    program = programs(seed)
    objective = ScoreFunctionELBO(max_plate_nesting=program.nesting)
    single = program.parameters[0].dtype == torch.float32
    for draw in known(seed).weighed.draws[:4]:
        with Given(draw):
            bound = objective.estimate(program.model, program.guide).bound.sum().item()
            loss = Trace_ELBO().loss(program.model, program.guide)
        assert bound == pytest.approx(-loss, abs=2e-5 if single else 1e-9)


@every_seed
def test_the_gradient_is_that_of_the_bound(seed: int) -> None:
    program = programs(seed)
    weighed, targets = known(seed)
    target = targets["elbo"]
    objective = ScoreFunctionELBO(max_plate_nesting=program.nesting)
    close(brute_force.expectation(program, weighed, objective, 1), target, program)


@every_seed
def test_several_particles(seed: int) -> None:
    program = programs(seed)
    weighed, targets = known(seed)
    complete = len(weighed.draws) <= PAIRS
    if not complete:
        weighed = weighed._replace(draws=weighed.draws[:2])  # enough to be refused, or not
    nesting = program.nesting
    leave_one_out = ScoreFunctionELBO(2, baseline="leave-one-out", max_plate_nesting=nesting)
    for objective, bound in ((leave_one_out, "elbo"), (VIMCO(2, max_plate_nesting=nesting), "iw")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that data are weighed together
            if bound not in targets:  # sites have scales of their own
                with pytest.raises(UsageError, match="scale"):
                    brute_force.expectation(program, weighed, objective, 2)
                continue
            got = brute_force.expectation(program, weighed, objective, 2)
        if complete:
            close(got, targets[bound], program)


@every_seed
def test_sums_are_right_or_refused(seed: int) -> None:
    program = programs(seed)
    targets = known(seed).bounds
    for objective, bound in ((ExactMarginal(), "exact"), (EnumeratedELBO(), "elbo")):
        try:
            estimate = objective.estimate(program.model, program.guide)
        except UsageError as refusal:
            assert "is outside of plates" in str(refusal) or "is scaled by" in str(refusal)  # noqa: PT017
            continue
        if bound in targets:  # else what differs in scale depends on no latent
            gradient = flat_gradient(estimate.surrogate, program.parameters)
            close(Target(estimate.bound.sum(), gradient), targets[bound], program)


def test_some_sums_are_taken() -> None:
    taken = 0
    for seed in SEEDS[:20]:
        program = programs(seed)
        try:
            taken += len(EnumeratedELBO().estimate(program.model, program.guide).bound) > 0
        except UsageError:
            continue
    assert taken >= 5
