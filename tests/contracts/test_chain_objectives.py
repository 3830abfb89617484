"""What objectives promise of a chain in steps, whose latents are a site a step, of two values each."""

from typing import Any

import cases
import oracles
import pytest
import torch
from cases import Case
from objective_settings import ACROSS_DATA, CHAINS, NO_CHAIN, OBJECTIVES, POLICY_ONLY, forced
from pyro import poutine
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.types import Estimate

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
LENGTHS = (2, 3, 1)

every_objective = pytest.mark.parametrize("name", CHAINS)
unchecked = pytest.mark.usefixtures("no_validation")  # but where padding is, as in test_objectives.py


def evaluate(
    name: str, case: Case, args: tuple[Tensor, Tensor], rows: slice = slice(None), **kwargs: Any
) -> tuple[Estimate, Tensor]:
    """The estimate and the gradient of all parameters, at draws that are forced."""
    objective = OBJECTIVES[name](**kwargs)
    K, (B, T) = objective.num_particles, case.args[0].shape
    value = torch.randint(0, 2, (8, 3, B), generator=torch.Generator().manual_seed(4))[:T, :K]
    value = value.where(case.args[1].T.unsqueeze(1), 0)[..., rows]  # (T, K, B)
    values = {f"z_{t}": each if K > 1 else each[0] for t, each in enumerate(value)}
    guide, force = forced(objective, case.guide, values)
    with force:
        estimate = objective.estimate(case.model, guide, *args)
    return estimate, oracles.flat_gradient(estimate.surrogate, [*case.of_model, *case.of_guide])


def padded(case: Case, more: int) -> Case:
    """With so many more steps, of which the guide has a table, too."""
    symbols, mask = (torch.nn.functional.pad(part, (0, more)) for part in case.args)
    table = torch.nn.Parameter(torch.cat([case.guide.table.detach(), case.guide.table.detach()[:more]]))
    case.guide.table = table
    return case._replace(args=(symbols, mask))


@every_objective
def test_padding_is_never_read(name: str) -> None:
    case = cases.chain_in_steps(LENGTHS)
    plain, gradient = evaluate(name, case, case.args)
    longer = padded(cases.chain_in_steps(LENGTHS), 2)
    again, same = evaluate(name, longer, longer.args)
    torch.testing.assert_close(again.bound, plain.bound, **CLOSE)
    own = len(gradient)
    torch.testing.assert_close(same[:own], gradient, **CLOSE)
    assert (same[own:] == 0).all()
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-3


@unchecked
@every_objective
def test_a_batch_is_the_sum_of_its_chains(name: str) -> None:
    case = cases.chain_in_steps(LENGTHS)
    whole, gradient = evaluate(name, case, case.args)
    bounds, total = [], torch.zeros_like(gradient)
    for b in range(len(LENGTHS)):
        rows = slice(b, b + 1)
        estimate, part = evaluate(name, case, tuple(part[rows] for part in case.args), rows)
        bounds.append(estimate.bound)
        total = total + part
    torch.testing.assert_close(torch.cat(bounds), whole.bound, **CLOSE)
    if name in ACROSS_DATA:
        assert (total - gradient).abs().max() > 1e-3
    else:
        torch.testing.assert_close(total, gradient, **CLOSE)


@unchecked
@every_objective
def test_a_scale_multiplies_value_and_gradient(name: str) -> None:
    case = cases.chain_in_steps(LENGTHS)
    plain, gradient = evaluate(name, case, case.args)
    scaled = case
    for program in (case.model, case.guide):
        program.step = poutine.scale(program.step, scale=4.0)
    again, found = evaluate(name, scaled, case.args)
    torch.testing.assert_close(again.bound, 4 * plain.bound, **CLOSE)
    torch.testing.assert_close(found, 4 * gradient, **CLOSE)


@unchecked
@every_objective
def test_every_parameter_gets_a_gradient(name: str) -> None:
    case, objective = cases.chain_in_steps(LENGTHS), OBJECTIVES[name]()
    for part in [*case.of_model, *case.of_guide]:
        part.grad = None
    torch.manual_seed(0)
    for _ in range(8):  # one draw alone may leave a value out
        objective.differentiable_loss(case.model, case.guide, *case.args).backward()
    for parameter in case.of_model:
        if name in POLICY_ONLY and parameter is case.model.emission:
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0
    for parameter in case.of_guide:
        trained = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert trained == objective.trains_guide


@pytest.mark.parametrize("name", NO_CHAIN)
def test_a_chain_of_which_nothing_can_be_made_is_refused(name: str) -> None:
    case = cases.chain_in_steps(LENGTHS)
    with pytest.raises(UsageError, match=NO_CHAIN[name]):
        OBJECTIVES[name]().estimate(case.model, case.guide, *case.args)
