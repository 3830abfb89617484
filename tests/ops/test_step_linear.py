"""The linear map of a loop: its value and all its derivatives are those of plain products."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hardpp.ops.step_linear import StepLinear

R, H, T = 3, 4, 5

Apply = Callable[[Tensor, Tensor], Tensor]


def leaves() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (H, H), (R, H), (T, R, H)
    weight, start, constants = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes)
    return weight.requires_grad_(), start.requires_grad_(), constants.requires_grad_()


def plainly(weight: Tensor) -> Apply:
    return lambda inputs, constant: inputs @ weight.t() + constant


def states(make: Callable[[Tensor], Apply], weight: Tensor, start: Tensor, constants: Tensor) -> Tensor:
    apply, state, found = make(weight), start, []
    for constant in constants:
        state = apply(state, constant).tanh()
        found.append(state)
    return torch.stack(found)


def loss(make: Callable[[Tensor], Apply], *given: Tensor) -> Tensor:
    return states(make, *given).square().sum()


def test_value_and_gradients() -> None:
    given = leaves()
    torch.testing.assert_close(states(StepLinear, *given), states(plainly, *given), rtol=0, atol=1e-15)
    ours, theirs = (torch.autograd.grad(loss(make, *given), given) for make in (StepLinear, plainly))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_derivatives_of_second_order() -> None:
    given = leaves()
    found = []
    for make in (StepLinear, plainly):
        first = torch.autograd.grad(loss(make, *given), given, create_graph=True)
        found.append(torch.autograd.grad(sum(each.square().sum() for each in first), given))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_a_constant_of_all_rows() -> None:
    weight, start, constants = leaves()
    bias = constants[0, 0].detach().requires_grad_()
    given = weight, start, bias
    ours, theirs = (
        torch.autograd.grad(loss(make, weight, start, bias.expand(T, H)), given)
        for make in (StepLinear, plainly)
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_passes_that_do_not_reach_the_weight_leave_nothing_behind() -> None:
    weight, start, constants = leaves()
    each = states(StepLinear, weight, start, constants)
    torch.autograd.grad(each.sum(), start, retain_graph=True)  # all steps, not the weight
    (ours,) = torch.autograd.grad(each[1].sum(), weight, retain_graph=True)  # two steps, and the weight
    (again,) = torch.autograd.grad(each[1].sum(), weight)
    (theirs,) = torch.autograd.grad(states(plainly, weight, start, constants)[1].sum(), weight)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert torch.equal(ours, again)


def test_a_weight_that_wants_no_gradient_and_no_gradients_at_all() -> None:
    weight, start, constants = leaves()
    frozen = weight.detach()
    (ours,) = torch.autograd.grad(loss(StepLinear, frozen, start, constants), start)
    (theirs,) = torch.autograd.grad(loss(plainly, frozen, start, constants), start)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    with torch.no_grad():
        assert not states(StepLinear, weight, start, constants).requires_grad


def test_a_step_without_gradient_counts_for_nothing() -> None:
    weight, start, constants = leaves()
    apply = StepLinear(weight)
    used, _ = apply(start, constants[0]), apply(start, constants[1])
    (ours,) = torch.autograd.grad(used.sum(), weight)
    torch.testing.assert_close(ours, torch.ones(R, H, dtype=torch.float64).t() @ start, rtol=0, atol=1e-15)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own forward mode
@pytest.mark.parametrize("transform", ["grad", "vmap", "jvp"])
def test_torch_func_and_forward_mode(transform: str) -> None:
    weight, start, constants = (each.detach() for each in leaves())

    def derivatives(make: Callable[[Tensor], Apply]) -> Tensor:
        def of_start(given: Tensor) -> Tensor:
            return loss(make, weight, given, constants)

        if transform == "grad":
            return torch.func.grad(lambda given: loss(make, given, start, constants))(weight)
        if transform == "vmap":
            return torch.func.vmap(torch.func.grad(of_start))(torch.stack([start, -start]))
        return torch.func.jvp(of_start, (start,), (torch.ones_like(start),))[1]

    torch.testing.assert_close(derivatives(StepLinear), derivatives(plainly), rtol=0, atol=1e-12)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_each_gradient_alone(wanted: int) -> None:
    given = leaves()
    ours, theirs = (
        torch.autograd.grad(loss(make, *given), given[wanted])[0] for make in (StepLinear, plainly)
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_autocast_makes_products_in_half_precision() -> None:
    weight, start, constants = (each.detach().float() for each in leaves())
    with torch.autocast("cpu", torch.bfloat16):
        assert StepLinear(weight.requires_grad_())(start, constants[0]).dtype == torch.bfloat16
