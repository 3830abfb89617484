"""A whole sequence as one sample site: T steps are drawn at once, and objectives credit each of them.

    z[..., t] ~ base[..., t],    t = 0 .. T-1, independent given the data

To Pyro this is `Independent(base, 1)`, one event with one log-probability. Our objectives call
`step_log_prob` for the terms of the steps, so each step is a latent with its own return, at the cost of one
site; a loop of T sites has T times the overhead.

The step dim is *causal*: a program that observes a `StepIndependent` of equally many steps after a latent one
states that step t of the observation depends on steps 0 .. t of the latent only (a decoder that reads z[...,
: t + 1] to predict y[..., t]). Score-function objectives then credit z[t] with the observed steps t and
later; a program that breaks this promise gets a biased gradient. `dist.Unit(log_factor)` is a base, too: a
step may carry any factor, such as p(z[t] given z[t - 1]) against the distribution it was drawn from.

Shapes: ... = plates, T steps.
"""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.torch import Independent
from torch import Tensor


class StepIndependent(Independent):
    """T independent steps as one event, with the log-probability of each step.

    Args:
        base: a distribution of batch shape (..., T), without event dims or with some to the right of T.
            `base.mask(mask)` with a (..., T) bool mask takes steps out.

    Raises:
        ValueError: the base has no batch dim to hold the steps.
    """

    def __init__(self, base: Any, *, validate_args: bool | None = None):
        if not base.batch_shape:
            raise ValueError(f"the last batch dim holds the steps, but {type(base).__name__} has none")
        super().__init__(base, 1, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "StepIndependent":
        return StepIndependent(
            self.base_dist.expand(torch.Size(batch_shape) + self.base_dist.batch_shape[-1:])
        )

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every step, (..., T), in nats; `log_prob` is its sum."""
        log_prob: Tensor = self.base_dist.log_prob(value)
        return log_prob

    def step_mask(self) -> Tensor | bool:
        """The mask of the steps, (..., T), as given by `base.mask`; True without one."""
        mask: Tensor | bool = getattr(self.base_dist, "_mask", True)
        return mask


class DependentSteps(StepIndependent):
    """Steps that are not independent, but credited one by one all the same; the event shape is (T, *event).

    Subclasses define `step_log_prob` and `base_dist`.
    """

    has_rsample = False
    has_enumerate_support = False
    reinterpreted_batch_ndims = 1
    _validate_args = False  # a plain attribute: there is no base to pass it to

    def __init__(self, batch_shape: torch.Size, event_shape: torch.Size):
        TorchDistribution.__init__(self, batch_shape, event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.step_log_prob(value).sum(-1)

    def step_mask(self) -> Tensor | bool:
        return True
