"""A running average of weights, which is what is evaluated and kept.

Source: Polyak and Juditsky (1992), Acceleration of Stochastic Approximation by Averaging; decayed
exponentially, as by Tarvainen and Valpola (2017), Mean Teachers Are Better Role Models.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a module whose parameters are averages over training steps; buffers are the latest.

    The parameters of both are listed once, as looking through modules costs as much as a small step.

    Args:
        module: that is trained. It keeps its parameters, whose values change.
        decay: share of the average that stays at a step. The first steps count evenly, so that the average
            forgets where it started.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.module, self.decay = deepcopy(module), decay
        self.steps = 0  # that are averaged
        self._source = module
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []  # ours and theirs: parameters, buffers

    @torch.no_grad()
    def update(self) -> None:
        """Takes the present weights into the average."""
        if not self._pairs:
            both = (self.module, self._source)
            for kind in (nn.Module.parameters, nn.Module.buffers):
                ours, theirs = (list(kind(module)) for module in both)
                self._pairs.append((ours, theirs))
        (averaged, current), (ours, theirs) = self._pairs
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.steps else 0.0
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for own, latest in zip(ours, theirs, strict=True):
            own.copy_(latest)
        self.steps += 1
