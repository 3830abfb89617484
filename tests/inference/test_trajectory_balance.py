"""Trajectory balance: VarGrad's identity, its fixed point, and the learned log Z."""

import itertools
from collections.abc import Callable
from math import log
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.inference.weights.proposals import Proposal

EQUAL = {"rtol": 0, "atol": 1e-12}

CASES: dict[str, tuple[Callable[[], Case], int]] = {
    "chain": (lambda: cases.chain((2,)), 3),
    "chain-ragged": (lambda: cases.chain((2, 1)), 2),
    "two-supports": (cases.two_supports, 2),
    "alignment": (lambda: cases.alignment(batch=cases.alignment_batch((2,), (2,))), 3),
}


def draws(case: Case, K: int) -> Any:
    return (values for _, values in oracles.draws(case.twin, K))


@pytest.mark.parametrize("name", CASES)
def test_on_policy_the_guide_gets_the_leave_one_out_gradient_draw_by_draw(name: str) -> None:
    make, K = CASES[name]
    case = make()
    balance = TrajectoryBalance(K)
    score = ScoreFunctionELBO(K, credit="global", baseline="leave-one-out")
    largest = torch.zeros(())
    for values in draws(case, K):
        with oracles.Force(values):
            found = balance.estimate(case.model, case.guide, *case.args).surrogate
            other = score.estimate(case.model, case.guide, *case.args).surrogate
        expected = oracles.flat_gradient(other, case.of_guide)
        torch.testing.assert_close(oracles.flat_gradient(found, case.of_guide), expected, **EQUAL)
        largest = torch.maximum(largest, expected.abs().max())
    assert largest > 1e-2


@pytest.mark.parametrize("log_partition", ["mean", "learned"])
@pytest.mark.parametrize("proposal", [Proposal(), Proposal("temperature"), Proposal("mixture")], ids=str)
def test_the_model_learns_as_in_the_wake_phase(proposal: Any, log_partition: Any) -> None:
    case = cases.chain((2, 1))
    ours = TrajectoryBalance(2, log_partition=log_partition, proposal=proposal)
    theirs = ReweightedWakeSleep(2, control_variates=False, proposal=proposal)
    for values in itertools.islice(draws(case, 2), 10):
        with oracles.Force(values):
            found = ours.estimate(case.model, case.guide, *case.args)
            expected = theirs.estimate(case.model, case.guide, *case.args)
        assert torch.equal(found.bound, expected.bound)
        assert torch.equal(found.log_weights, expected.log_weights)
        torch.testing.assert_close(
            oracles.flat_gradient(found.surrogate, case.of_model),
            oracles.flat_gradient(expected.surrogate, case.of_model),
            **EQUAL,
        )


class Steps(nn.Module):
    """p(z[t]) and p(y[t] | z[t]) of a plate of steps; its posterior is a table too."""

    def __init__(self, y: Tensor):
        super().__init__()
        self.prior, self.emission = cases.normal(3, seed=1), cases.normal(3, 2, seed=2)
        joint = self.prior.log_softmax(-1) + self.emission.log_softmax(-1)[:, y].movedim(0, -1)
        self.posterior = nn.Parameter(joint.detach())  # (B, T, S), not normalised
        self.log_z = joint.logsumexp(-1).detach()

    def forward(self, y: Tensor, mask: Tensor) -> None:
        self.steps(y, mask, self.prior, y)

    def guide(self, y: Tensor, mask: Tensor) -> None:
        self.steps(y, mask, self.posterior, None)

    def steps(self, y: Tensor, mask: Tensor, logits: Tensor, observed: Tensor | None) -> None:
        B, T = y.shape
        with (
            pyro.plate("data", B, dim=-2),
            pyro.plate("steps", T, dim=-1),
            pyro.poutine.mask(mask=mask),
        ):
            z = pyro.sample("z", dist.Categorical(logits=logits))
            if observed is not None:
                pyro.sample("y", dist.Categorical(logits=self.emission[z]), obs=observed)


Y, MASK = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[True, True], [True, False]])


def imbalance(
    objective: TrajectoryBalance, model: Steps, *values: int, y: Tensor = Y, mask: Tensor = MASK
) -> Tensor:
    """The guide's loss at forced draws, the same at every step."""
    z = torch.tensor(values).reshape(-1, 1, 1).expand(len(values), *y.shape)
    with oracles.Force({"z": z if len(values) > 1 else z[0]}):
        table = objective.weight_table(model, model.guide, y, mask)
    return objective.imbalance(table).sum()


@pytest.mark.parametrize("proposal", [Proposal(), Proposal("temperature"), Proposal("mixture")], ids=str)
def test_at_the_posterior_every_draw_has_loss_zero_and_gradient_zero(proposal: Any) -> None:
    model = Steps(Y)
    objective = TrajectoryBalance(3, proposal=proposal, max_plate_nesting=2)
    for values in itertools.product(range(3), repeat=3):
        loss = imbalance(objective, model, *values)
        gradient = oracles.flat_gradient(loss, [model.posterior])
        torch.testing.assert_close(loss, torch.zeros_like(loss), **EQUAL)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), **EQUAL)
    with torch.no_grad():
        model.posterior[..., 0] += 1.0
    assert imbalance(objective, model, 0, 1, 2) > 1e-2


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("proposal", [Proposal(), Proposal("mixture")], ids=str)
def test_a_learned_log_z_has_that_fixed_point_for_one_datum(proposal: Any, particles: int) -> None:
    """The second step is taken out: log p(y) is that of one step."""
    y, mask = Y[1:], MASK[1:]
    model, objective = Steps(y), TrajectoryBalance(particles, log_partition="learned", proposal=proposal)
    objective.log_partition.double()
    with torch.no_grad():
        objective.log_partition[0].fill_(model.log_z[0, 0])
    leaves = [model.posterior, *objective.log_partition]
    for values in itertools.product(range(3), repeat=particles):
        loss = imbalance(objective, model, *values, y=y, mask=mask)
        gradient = oracles.flat_gradient(loss, leaves)
        torch.testing.assert_close(loss, torch.zeros_like(loss), **EQUAL)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), **EQUAL)


def test_a_learned_log_z_is_fitted_to_the_log_ratios_of_what_counts() -> None:
    model, objective = Steps(Y), TrajectoryBalance(3, log_partition="learned")
    with torch.no_grad():
        model.posterior.zero_()
    loss = imbalance(objective, model, 0, 1, 2)
    joint = model.prior.log_softmax(-1) + model.emission.log_softmax(-1)[:, Y].movedim(0, -1)
    log_ratio = joint.detach() + log(3)  # (B, T, S): each value is one of the particles
    exact = (log_ratio.square().mean(-1) * MASK).sum() / 2
    torch.testing.assert_close(loss.detach(), exact, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(loss, list(objective.log_partition))
    torch.testing.assert_close(gradient.double(), -(log_ratio.mean(-1) * MASK).sum(), rtol=1e-6, atol=0)


def test_log_z_is_the_objectives_own_parameter() -> None:
    model = Steps(Y)
    module = TrajectoryBalance(2, log_partition="learned", max_plate_nesting=2)(model, model.guide)
    (name,) = module.state_dict().keys() - {f"model.{key}" for key in model.state_dict()}
    assert name == "log_partition.0"
    module(Y, MASK).backward()
    assert module.get_parameter(name).grad.abs() > 1e-2


@pytest.mark.parametrize(
    ("particles", "arguments", "message"),
    [
        (
            1,
            {},
            "trajectory-balance with log_partition 'mean' compares particles: it needs at least 2, got 1",
        ),
        (0, {"log_partition": "learned"}, "trajectory-balance needs at least 1 particle, got 0"),
        (2, {"log_partition": "exact"}, "'mean' or 'learned', not 'exact'"),
    ],
)
def test_impossible_settings(particles: int, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrajectoryBalance(particles, **arguments)
