"""The tensors that a training run has to save so that it goes on bit for bit.

They are named `weights.NAME` for the weights, `exp_avg.NAME`, `exp_avg_sq.NAME` and `step.NAME` for AdamW's
moments, and `random.cpu`, `random.cuda` for the states of the random generators.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_WEIGHTS = "weights."
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class TrainingState(NamedTuple):
    """What a training step changes."""

    objective: nn.Module
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    device: torch.device

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The averaged weights, ready to use, and all that only training needs."""
        names = self._names()
        optim = {f"{_WEIGHTS}{name}": value for name, value in self.objective.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            optim |= {f"{moment}.{names[index]}": value for moment, value in moments.items()}
        optim["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            optim["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return dict(self.averaged.module.state_dict()), optim

    def restore(self, model: dict[str, Tensor], optim: dict[str, Tensor], averaged_steps: int) -> None:
        """Puts the tensors back.

        Args:
            model: the averaged weights.
            optim: all else.
            averaged_steps: how many steps the average is of.

        Raises:
            KeyError: a tensor is missing.
            RuntimeError: a tensor is missing, not known, or of another shape.
        """
        torch.set_rng_state(optim["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in optim:
            torch.cuda.set_rng_state(optim["random.cuda"], self.device)
        self.averaged.module.load_state_dict(model)
        self.averaged.n_averaged.fill_(averaged_steps)
        weights = {name: value for name, value in optim.items() if name.startswith(_WEIGHTS)}
        self.objective.load_state_dict({name.removeprefix(_WEIGHTS): weights[name] for name in weights})
        moments = {}
        for index, name in enumerate(self._names()):
            of_parameter = {m: optim[f"{m}.{name}"] for m in _MOMENTS if f"{m}.{name}" in optim}
            if of_parameter:  # none before the first step
                moments[index] = of_parameter
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})

    def _names(self) -> list[str]:
        return [name for name, _ in self.objective.named_parameters()]
