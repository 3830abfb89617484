"""SGD and the decay of kernels, against steps written out by hand; what is saved of them.

Shapes: P parameters.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hardpp.runs.optimisation import Schedule, optimiser_of, trained_parameters
from hardpp.runs.trainer import Trainer

PLAIN = Schedule(0.1, 0.0, warmup_steps=0, clip_norm=1e9, average=0.0, total_steps=12)
SGD = PLAIN._replace(kind="sgd", weight_decay=0.05)


class Batch:
    """Two data."""

    size = symbols = 2

    def __init__(self, seed: int):
        self.x = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def to(self, device: Any) -> "Batch":
        return self


class Objective(nn.Module):
    """A loss with a kernel, a bias, and the scale of a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kernel = nn.Linear(3, 2).double()
        self.norm = nn.LayerNorm(2).double()
        self.held = nn.Linear(2, 2).double()

    def forward(self, batch: Any) -> Tensor:
        return self.norm(self.held(self.kernel(batch.x)).tanh() + self.kernel(batch.x)).sin().sum()


def trainer(schedule: Schedule, frozen: tuple[str, ...] = ()) -> Trainer:
    objective = Objective()
    held = [objective.get_submodule(name).requires_grad_(False) for name in frozen]
    return Trainer(
        objective,
        lambda epoch: [lambda i=i: Batch(10 * epoch + i) for i in range(4)],
        lambda module: 0.0,
        schedule,
        device=torch.device("cpu"),
        max_epochs=3,
        patience=99,
        frozen=held,
    )


def steps(of: Trainer) -> Iterator[Any]:
    return (record for record in of.records() if record.split == "train")


def by_hand(schedule: Schedule, count: int) -> dict[str, Tensor]:
    """Nesterov's momentum of 0.9 with the decay in the gradient, as torch has it."""
    objective, momenta = Objective(), dict[str, Tensor]()
    for step in range(count):
        objective.zero_grad()
        (objective(Batch(10 * (step // 4) + step % 4)) / 2).backward()
        with torch.no_grad():
            for name, p in objective.named_parameters():
                assert p.grad is not None
                decays = schedule.decayed == "all" or p.dim() > 1
                gradient = p.grad + (schedule.weight_decay * p if decays else 0)
                momentum = 0.9 * momenta[name] + gradient if name in momenta else gradient
                momenta[name] = momentum
                p -= schedule.rate(step) * (gradient + 0.9 * momentum)
    return {name: p.detach() for name, p in objective.named_parameters()}


@pytest.mark.parametrize("decayed", ["all", "kernels"])
def test_sgd_is_nesterov_s_by_hand(decayed: Any) -> None:
    schedule = SGD._replace(decayed=decayed, warmup_steps=2)
    found = trainer(schedule)
    for _ in steps(found):
        pass
    expected = by_hand(schedule, 12)
    for name, value in found.objective.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name], rtol=0, atol=1e-12)


def test_which_weights_decay_makes_a_difference_to_those_alone() -> None:
    """Of one step: with all, everything; with kernels, what has two dims."""
    found = {}
    for decayed in ("all", "kernels"):
        of = trainer(SGD._replace(decayed=decayed))
        next(steps(of))
        found[decayed] = {name: value.detach().clone() for name, value in of.objective.named_parameters()}
    none = trainer(SGD._replace(weight_decay=0.0))
    next(steps(none))
    for name, value in none.objective.named_parameters():
        assert torch.equal(found["all"][name], value) == bool((found["all"][name] == value).all())
        moved = not torch.equal(found["kernels"][name], value)
        assert moved == (value.dim() > 1), name
        assert torch.equal(found["kernels"][name], found["all"][name]) == moved or value.dim() < 2


def test_adamw_decays_kernels_apart_from_the_gradient() -> None:
    schedule = PLAIN._replace(weight_decay=0.5, decayed="kernels")
    with_decay, without = trainer(schedule), trainer(schedule._replace(weight_decay=0.0))
    before = {name: value.detach().clone() for name, value in with_decay.objective.named_parameters()}
    next(steps(with_decay))
    next(steps(without))
    for name, value in with_decay.objective.named_parameters():
        other = dict(without.objective.named_parameters())[name]
        share = 0.5 * schedule.rate(0) if value.dim() > 1 else 0.0
        torch.testing.assert_close(value, other - share * before[name], rtol=0, atol=1e-12)


def test_parameters_in_their_order_where_all_decay() -> None:
    """So that checkpoints from before there was a choice go on."""
    objective = Objective()
    (group,) = optimiser_of(trained_parameters(objective), PLAIN).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in objective.parameters()]


@pytest.mark.parametrize("decayed", ["all", "kernels"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("total", [1, 3, 4, 9])
def test_a_trainer_restored_anywhere_goes_on_bit_for_bit(kind: Any, decayed: Any, total: int) -> None:
    schedule = SGD._replace(kind=kind, decayed=decayed, average=0.9)
    whole = trainer(schedule, ("held",))
    for _ in steps(whole):
        pass
    first = trainer(schedule, ("held",))
    for record in first.records():
        if record.split == "train" and record.step == total:
            break
    saved = first.checkpoint()
    moments = {name.partition(".")[0] for name in saved.optim} - {"weights", "random"}
    assert moments == ({"momentum_buffer"} if kind == "sgd" else {"step", "exp_avg", "exp_avg_sq"})
    assert not [name for name in saved.optim if "held" in name and not name.startswith("weights.")]
    second = trainer(schedule, ("held",))
    second.restore(saved)
    for _ in steps(second):
        pass
    for one, other in zip(whole.checkpoint()[:2], second.checkpoint()[:2], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert torch.equal(one[name], other[name]), name


def test_frozen_modules_are_in_evaluation_mode_and_keep_their_weights() -> None:
    found = trainer(PLAIN, ("held",))
    before = found.objective.held.weight.clone()
    for _ in steps(found):
        assert not found.objective.held.training
        assert found.objective.kernel.training
    assert torch.equal(found.objective.held.weight, before)
    assert all("held" not in name for name in trained_parameters(found.objective))


def test_a_parameter_that_is_a_part_of_a_tensor_is_trained_alone() -> None:
    """As a guide of the user's own may have; a fused step would go through the memory beside it."""
    torch.manual_seed(0)
    around = torch.randn(4, 8, dtype=torch.float64)
    part, whole = nn.Parameter(around[:, :4]), nn.Parameter(around[:, :4].clone())
    beside = around[:, 4:].clone()
    for each in (part, whole):
        optimiser = optimiser_of({"weight": each}, PLAIN)
        for _ in range(3):
            optimiser.zero_grad()
            each.sin().sum().backward()
            optimiser.step()
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-12)
    assert torch.equal(around[:, 4:], beside)


def test_a_parameter_that_is_complex_can_be_trained() -> None:
    weight = nn.Parameter(torch.ones(2, dtype=torch.complex128))
    optimiser = optimiser_of({"weight": weight}, PLAIN)
    weight.abs().sum().backward()
    optimiser.step()
    torch.testing.assert_close(weight.detach().real, torch.full((2,), 0.9, dtype=torch.float64))
