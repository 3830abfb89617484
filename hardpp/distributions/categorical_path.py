"""Positions of all steps as one draw, each of which may depend on the ones before it.

    z[t] ~ Categorical(logits(z[0 .. t-1])),    t = 0 .. T-1

Drawing is a loop over steps. Scoring given positions is not: all that the logits depend on is known at once.
A `Stepper` computes the logits both ways. Objectives credit each step by itself, with all steps that come
after it (`hardpp.distributions.step_independent`).

Shapes: B data, T steps, S positions; ... = dims inference adds on the left.
"""

from copy import copy
from typing import Any, Protocol

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical, inverse_distribution
from hardpp.distributions.step_independent import DependentSteps


class Stepper(Protocol):
    """Computes the log-probabilities of positions from the positions before; they are normalised over S."""

    def logits(self, positions: Tensor) -> Tensor:
        """Those of every step (..., B, T, S), given all positions (..., B, T), int64."""

    def start(self, rows: torch.Size) -> Any:
        """The state before the first step, for paths (..., B)."""

    def step(self, number: int, last: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Those of the step of a number from 0, (..., B, S), and the next state.

        `last` are the positions (..., B) of the step before; before the first step, zeros to be ignored.
        """


class CategoricalPath(DependentSteps):
    """Positions (..., B, T), int64, of steps that may depend on one another.

    Args:
        stepper: gives the log-probabilities of each step.
        mask: (B, T) bool, right-padded; padded steps have log-probability 0.
        positions: S.
    """

    def __init__(self, stepper: Stepper, mask: Tensor, positions: int):
        self.stepper, self.mask_of_steps, self.positions = stepper, mask, positions
        self._scored: Tensor | None = None
        super().__init__(mask.shape[:1], mask.shape[1:])

    def expand(self, batch_shape: Any, _instance: Any = None) -> "CategoricalPath":
        new = copy(self)
        new._batch_shape, new._scored = torch.Size(batch_shape), None
        return new

    @property
    def support(self) -> Any:
        return constraints.independent(constraints.integer_interval(0, self.positions - 1), 1)

    @property
    def base_dist(self) -> Any:
        """The conditional distributions of the steps that were scored last; before any, a `Unit`."""
        if self._scored is None:
            shape = self.batch_shape + self.event_shape
            return dist.Unit(torch.zeros(shape, device=self.mask_of_steps.device)).mask(self.mask_of_steps)
        return Categorical(logits=self._scored).mask(self.mask_of_steps)

    def step_mask(self) -> Tensor:
        """The steps that are not padding, (B, T)."""
        return self.mask_of_steps

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        rows = torch.Size(sample_shape) + self.batch_shape
        device = self.mask_of_steps.device
        uniform = torch.rand((*self.event_shape, *rows), dtype=torch.float64, device=device)
        last, state = torch.zeros(rows, dtype=torch.int64, device=device), self.stepper.start(rows)
        positions = []
        for number, threshold in enumerate(uniform):
            logits, state = self.stepper.step(number, last, state)
            last = inverse_distribution(logits, threshold)
            positions.append(last)
        return torch.stack(positions, -1)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every step given those before, (..., B, T), in nats; 0 at padding."""
        logits = self.stepper.logits(value)
        self._scored = logits.detach()
        chosen = logits.gather(-1, value.unsqueeze(-1)).squeeze(-1)
        return chosen.where(self.mask_of_steps, chosen.new_zeros(()))

    @torch.no_grad()
    def marginals(self) -> Tensor | None:
        """The probability of every position at every step, (B, T, S); None if the stepper does not know it.

        A stepper that does has a method `marginals`, which returns its logarithm.
        """
        known = getattr(self.stepper, "marginals", None)
        return None if known is None else known().exp()
