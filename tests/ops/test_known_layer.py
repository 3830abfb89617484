"""Layers and a recurrence whose values are known: derivatives against differences and plain torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from hardpp.ops.known_layer import known_layer
from hardpp.ops.relu_scan import relu_scan

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-12}
STEPS, ROWS, H = 4, 2, 3


def normal(*shape: int, seed: int) -> Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_()


def known(rectified: bool) -> Callable[..., Tensor]:
    def function(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        value = (inputs @ weight.t() + bias).detach()
        return known_layer(value.relu() if rectified else value, inputs, weight, bias, rectified=rectified)

    return function


def plain_scan(gates: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    states = [torch.zeros_like(gates[0])]
    for step in gates:
        states.append((step + states[-1] @ weight.t()).relu())
    return torch.stack(states), torch.stack(states[1:])


def known_scan(gates: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return relu_scan(gates, weight, plain_scan(gates, weight)[0].detach())


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("bias", [(2,), (4, 2), (3, 1, 2)], ids=str)
def test_derivatives_of_a_known_layer(rectified: bool, bias: tuple[int, ...]) -> None:
    leaves = normal(2, 3, 4, 3, seed=1), normal(2, 3, seed=2), normal(*bias, seed=3)
    assert gradcheck(known(rectified), leaves)
    assert gradgradcheck(known(rectified), leaves)


@pytest.mark.parametrize("scan", [relu_scan, known_scan])
def test_derivatives_of_a_scan(scan: Callable[..., tuple[Tensor, Tensor]]) -> None:
    leaves = normal(STEPS, ROWS, H, seed=4), normal(H, H, seed=5)
    assert gradcheck(scan, leaves)
    assert gradgradcheck(scan, leaves)
    torch.testing.assert_close(scan(*leaves), plain_scan(*leaves), **CLOSE)


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)], ids=str)
def test_a_scan_may_be_asked_for_states_before_or_after(which: tuple[int, ...]) -> None:
    leaves = normal(STEPS, ROWS, H, seed=4), normal(H, H, seed=5)

    def total(scan: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        found = scan(*leaves)
        return sum((found[each] ** 2).sum() * (1 + each) for each in which)  # type: ignore[return-value]

    found, expected = (torch.autograd.grad(total(scan), leaves) for scan in (relu_scan, plain_scan))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_scan_of_no_steps_is_the_state_before() -> None:
    gates, weight = torch.zeros(0, ROWS, H, requires_grad=True), torch.eye(H, requires_grad=True)
    every, after = relu_scan(gates, weight)
    assert every.shape == (1, ROWS, H)
    assert not every.any()
    assert after.shape == (0, ROWS, H)
    every.sum().backward()
    assert weight.grad is None
