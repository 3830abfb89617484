"""What an optimiser step goes by and changes: learning rate, noise on the weights, tensors to be saved.

Source of the noise: Graves 2011, "Practical variational inference for neural networks", without its adaptive
deviation.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hardpp.runs.eager_optimisers import SGD, AdamW
from hardpp.runs.weight_average import WeightAverage

WARMUP_SHARE = 5  # a warm-up takes at most one in so many steps

_FUSED = ("cpu", "cuda")  # where AdamW reads and writes each number once a step
_WEIGHTS = "weights."
_MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
_MOMENTUM = 0.9  # Nesterov's, of sgd


class Schedule(NamedTuple):
    """Settings of the optimiser; `hardpp.config.OptimiserConfig` says what each means."""

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    clip_norm: float
    average: float
    total_steps: int
    kind: str = "adamw"
    decayed: str = "all"

    @property
    def warmup(self) -> int:
        """Steps of warm-up: those asked for, but no more than a fifth of all."""
        return min(self.warmup_steps, self.total_steps // WARMUP_SHARE)

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then half a cosine down to zero."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.total_steps))


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a module that are not frozen, by name."""
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def optimiser_of(parameters: dict[str, nn.Parameter], schedule: Schedule) -> torch.optim.Optimizer:
    """The optimiser of a schedule's kind over parameters, in their order as far as all of them decay."""
    decayed, others = list(parameters.values()), []
    if schedule.decayed == "kernels":
        decayed, others = ([p for p in decayed if (p.dim() > 1) == kernels] for kernels in (True, False))
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    if schedule.kind == "sgd":
        return SGD(groups, lr=schedule.learning_rate, momentum=_MOMENTUM, nesterov=True)
    fused = all(_can_be_fused(each) for each in parameters.values())
    return AdamW(groups, lr=schedule.learning_rate, fused=fused or None)


# The fused step walks through memory from where a tensor begins: of a part of another, such as a few columns,
# it would take, and change, numbers that are not of it.
def _can_be_fused(parameter: Tensor) -> bool:
    where = parameter.device.type in _FUSED
    return where and parameter.is_contiguous() and parameter.is_floating_point()


@contextmanager
def weight_noise(parameters: Sequence[Tensor], deviation: float) -> Iterator[None]:
    """Adds Gaussian noise to parameters for the block, and then puts them back to the last bit.

    A deviation of 0 draws nothing.
    """
    if not deviation:
        yield
        return
    with torch.no_grad():
        values = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.add_(torch.randn_like(parameter), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)


class TrainingState(NamedTuple):
    """What an optimiser step changes, all of which is saved so that training goes on bit for bit.

    Tensors are named `weights.NAME` for the weights, `exp_avg.NAME`, `exp_avg_sq.NAME` and `step.NAME` for
    AdamW's moments, `momentum_buffer.NAME` for SGD's, and `random.cpu`, `random.cuda` for the states of the
    random generators.
    """

    objective: nn.Module
    averaged: WeightAverage
    optimiser: torch.optim.Optimizer
    device: torch.device

    @property
    def names(self) -> list[str]:
        """The names of the parameters, in the order of the optimiser."""
        named = {parameter: name for name, parameter in self.objective.named_parameters()}
        return [named[parameter] for group in self.optimiser.param_groups for parameter in group["params"]]

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The averaged weights, ready to use, and all that only training needs."""
        names = self.names
        optim = {f"{_WEIGHTS}{name}": value for name, value in self.objective.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            kept = {moment: value for moment, value in moments.items() if value is not None}
            optim |= {f"{moment}.{names[index]}": value for moment, value in kept.items()}
        optim["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            optim["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return dict(self.averaged.module.state_dict()), optim

    def restore(self, model: dict[str, Tensor], optim: dict[str, Tensor], averaged_steps: int) -> None:
        """Puts back what `tensors` gave; the averaged weights are of so many steps.

        Raises:
            KeyError, RuntimeError: a tensor is missing, not known, or of another shape.
        """
        torch.set_rng_state(optim["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in optim:
            torch.cuda.set_rng_state(optim["random.cuda"], self.device)
        self.averaged.module.load_state_dict(model)
        self.averaged.steps = averaged_steps
        self.objective.load_state_dict(
            {name.removeprefix(_WEIGHTS): optim[name] for name in optim if name.startswith(_WEIGHTS)}
        )
        moments = {}
        for index, name in enumerate(self.names):
            moments[index] = {m: optim[f"{m}.{name}"] for m in _MOMENTS if f"{m}.{name}" in optim}
        before = self.optimiser.state_dict()  # which has no moments before the first step
        self.optimiser.load_state_dict({**before, "state": {i: m for i, m in moments.items() if m}})
