"""Every objective is right on the programs that people write, or says in one sentence why not."""

import warnings
from typing import Any

import pytest
import torch
from oracles import flat_gradient
from programs import brute_force
from programs.catalogue import PROGRAMS
from programs.program import Program
from programs.settings import QUICK, SETTINGS, Setting

from hardpp.errors import UsageError

CLOSE = {"rtol": 0, "atol": 1e-9}
LARGE = {"factorial hidden Markov", "capture and recapture", "three plates deep", "crossed plates"}
LARGE |= {"plates in a loop", "opened twice", "plates the other way round"}
LARGE |= {"common effect", "diamond", "steps in another order", "kinds of latents"}


def case(title: str, name: str) -> Any:
    """The parameters of a test: slow if it takes a while."""
    marks = []
    setting = SETTINGS[name]
    if name not in QUICK or (title in LARGE and setting.K > 1):
        marks.append(pytest.mark.slow)
    return pytest.param(title, name, marks=marks, id=f"{title}-{name}")


@pytest.mark.parametrize(("title", "name"), [case(t, n) for t in PROGRAMS for n in SETTINGS])
def test_value_and_gradient_are_those_of_the_bound(title: str, name: str) -> None:
    program, setting = PROGRAMS[title](), SETTINGS[name]
    objective = setting.make(max_plate_nesting=program.nesting) if setting.K else setting.make()
    if program.refused & {name, *setting.kinds}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(UsageError):
                estimated(title, program, setting, objective)
        return
    tied = program.outside and setting.one_by_one
    target = brute_force.known(PROGRAMS[title], setting.bound == "exact", tied).bounds[setting.bound]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = estimated(title, program, setting, objective)
    assert target.gradient.abs().max() > 1e-2  # otherwise the check is empty
    torch.testing.assert_close(got.value, target.value.double(), **CLOSE)
    torch.testing.assert_close(got.gradient, target.gradient, **CLOSE)
    assert objective.unbiased or setting.bound == "iw model"
    joint = (program.joint or tied) and setting.bound.startswith("iw")
    assert any("weighed together" in str(each.message) for each in said) == joint


def estimated(title: str, program: Program, setting: Setting, objective: Any) -> brute_force.Target:
    """The expected value and gradient."""
    if setting.K:
        weighed = brute_force.known(PROGRAMS[title]).weighed
        return brute_force.expectation(program, weighed, objective, setting.K, setting.one_by_one)
    estimate = objective.estimate(program.model, program.guide)
    gradient = flat_gradient(estimate.surrogate, program.parameters)
    return brute_force.Target(estimate.bound.sum().double(), gradient)
