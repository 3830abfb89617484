"""Every objective is right on the programs that people write, or says in one sentence why it is not for them."""

import warnings

import pytest
import torch
from programs import brute_force
from programs.catalogue import PROGRAMS
from programs.settings import QUICK, SETTINGS, Setting

from hardpp.errors import UsageError

CLOSE = {"rtol": 0, "atol": 1e-9}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
@pytest.mark.parametrize("title", PROGRAMS)
def test_value_and_gradient_are_those_of_the_bound(title: str, name: str) -> None:
    program, setting = PROGRAMS[title](), SETTINGS[name]
    if program.refused & {name, *setting.kinds}:
        with pytest.raises(UsageError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            objective = made(program, setting)
            if setting.K:
                weighed = brute_force.weighed(program)
                brute_force.expectation(program, weighed, objective, setting.K, setting.one_by_one)
            else:
                objective.estimate(program.model, program.guide)
        return
    weighed = brute_force.weighed(program)
    target = brute_force.bounds(program, weighed)[setting.bound]
    objective = made(program, setting)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if setting.K:
            got = brute_force.expectation(program, weighed, objective, setting.K, setting.one_by_one)
        else:
            estimate = objective.estimate(program.model, program.guide)
            gradient = brute_force.flat_gradient(estimate.surrogate, program.parameters)
            got = brute_force.Target(estimate.bound.sum(), gradient)
    assert target.gradient.abs().max() > 1e-2  # otherwise the check is empty
    torch.testing.assert_close(got.value.double(), target.value.double(), **CLOSE)
    torch.testing.assert_close(got.gradient, target.gradient, **CLOSE)
    assert objective.unbiased or setting.bound == "iw model"
    joint = (program.joint or program.outside and setting.one_by_one) and setting.bound.startswith("iw")
    assert any("weighed together" in str(each.message) for each in said) == joint


def made(program: brute_force.Program, setting: Setting):  # type: ignore[no-untyped-def]
    return setting.make(max_plate_nesting=program.nesting) if setting.K else setting.make()
