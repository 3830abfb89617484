"""The learning rate of every step: linear warm-up, then half a cosine down to zero."""

import math
from typing import NamedTuple

WARMUP_SHARE = 5  # a warm-up takes at most one in so many steps


class Schedule(NamedTuple):
    """Settings of the optimiser; `hardpp.config.OptimiserConfig` says what each means."""

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    clip_norm: float
    average: float
    total_steps: int

    @property
    def warmup(self) -> int:
        """Steps of warm-up: those asked for, but no more than a fifth of all."""
        return min(self.warmup_steps, self.total_steps // WARMUP_SHARE)

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then half a cosine down to zero."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.total_steps))
