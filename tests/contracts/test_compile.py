"""A training step within `torch.compile` has the loss and the gradients that it has without."""

from collections.abc import Callable
from typing import Any

import cases
import pyro
import pytest
import torch
from torch import Tensor, nn

from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.inference import ScoreFunctionELBO
from hardpp.ops.lattice import log_total

# torch warns of its own doings when it compiles.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

Step = Callable[..., Tensor]


def alignment() -> tuple[nn.Module, tuple[Any, ...]]:
    model = cases.latent_alignment(dtype=torch.float64)
    guide = cases.ALIGNMENT_GUIDES["variational"](model)
    objective = ScoreFunctionELBO(4, baseline="leave-one-out", max_plate_nesting=2)
    return objective(model, guide), (cases.alignment_batch((2, 3), (2, 1)),)


def chain() -> tuple[nn.Module, tuple[Any, ...]]:
    case = cases.chain((2, 1))
    objective = ScoreFunctionELBO(4, baseline="leave-one-out", max_plate_nesting=1)
    return objective(case.model, case.guide), case.args


def training(program: Callable[[], tuple[nn.Module, tuple[Any, ...]]], wrap: Callable[[Step], Step]) -> list:
    """Losses and gradients of two steps."""
    loss, args = program()

    def step(*batch: Any) -> Tensor:
        value = loss(*batch)
        value.backward()
        return value.detach()

    step, found = wrap(step), []
    for seed in range(2):
        pyro.set_rng_seed(seed)
        found += [step(*args), *[p.grad.clone() for p in loss.parameters() if p.grad is not None]]
        with torch.no_grad():
            for parameter in loss.parameters():
                parameter -= 0.1 * parameter.grad
        loss.zero_grad()
    return found


@pytest.mark.parametrize(
    ("program", "checked"),
    [(alignment, False), (chain, True)],  # first steps check the programs, too
    ids=["alignment", "chain"],
)
def test_a_compiled_step_is_the_step(program: Callable[..., Any], checked: bool) -> None:
    torch.compiler.reset()
    with pyro.validation_enabled(checked):
        expected = training(program, lambda step: step)
        found = training(program, lambda step: torch.compile(step, backend="eager"))
    assert max(float(each.abs().max()) for each in expected[-2:]) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def loss_of_lattice(arcs: Tensor, end: Tensor) -> Tensor:
    return log_total(2 * arcs, end.sin()).sum()


def loss_of_readout(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    readout = LinearCategorical(2 * features, weight, bias, written_out=0)
    value, log_weight = torch.tensor([0, 5, 8]), torch.full((4, 1), -1.4, dtype=torch.float64)
    terms = readout.mixture_terms(value, log_weight, -2, 1e-6)
    return readout.log_prob(value).sum() + (log_weight + terms).logsumexp(0).sum()


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [(loss_of_lattice, [(2, 30, 4, 2), (2, 4)]), (loss_of_readout, [(4, 3, 2), (9, 2), (9,)])],
    ids=["lattice", "readout"],
)
def test_operations_with_derivatives_of_their_own(loss: Step, shapes: list[tuple[int, ...]]) -> None:
    torch.compiler.reset()
    inputs = [cases.normal(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    found = []
    for function in (loss, torch.compile(loss, backend="aot_eager")):
        for _ in range(2):
            value = function(*inputs)
            found.append([value.detach(), *torch.autograd.grad(value, inputs)])
    for each in found[1:]:
        torch.testing.assert_close(each, found[0], rtol=1e-9, atol=1e-9)
