"""A categorical distribution that costs no more than its softmax.

Torch's own normalises logits by `logits - logsumexp(logits)`: two passes and six operations backward, at
every site of every step. Here it is one `log_softmax`, and expanding to the same batch shape returns the same
object. Log-probabilities are float32 or wider, also under autocast. Draws invert the distribution function
with one uniform number each; torch's own needs S exponential variables and checks the probabilities on the
host.

Shapes: ... = batch, S values.
"""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from hardpp.ops.broadcast_shape import broadcast_shape
from hardpp.ops.precision import log_softmax


class Categorical(dist.Categorical):
    """Integers 0 .. S-1 with (unnormalised) log-probabilities `logits`, (..., S); -inf is impossible.

    Raises:
        ValueError: the logits have no dim, or (validating) hold a NaN.
    """

    def __init__(self, logits: Tensor, *, validate_args: bool | None = None):
        if logits.dim() == 0:
            raise ValueError("logits have one dim of values at least, got a scalar")
        self.logits = self._param = log_softmax(logits)
        self._num_events = logits.shape[-1]
        torch.distributions.Distribution.__init__(self, logits.shape[:-1], validate_args=validate_args)

    @classmethod
    def normalised(cls, log_probabilities: Tensor) -> "Categorical":
        """That of log-probabilities (..., S) that are normalised already; they stay as they are."""
        made = cls.__new__(cls)
        made.logits = made._param = log_probabilities
        made._num_events = log_probabilities.shape[-1]
        torch.distributions.Distribution.__init__(made, log_probabilities.shape[:-1], validate_args=False)
        return made

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Categorical":
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        wide: Categorical = super().expand(batch_shape, self.__new__(type(self)))
        return wide

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, int64 (*sample_shape, ...)."""
        shape = torch.Size(sample_shape) + self.batch_shape
        uniform = torch.rand(shape, dtype=torch.float64, device=self.logits.device)
        return inverse_distribution(self.logits, uniform)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probabilities of values that broadcast with the batch, in nats."""
        if hasattr(value, "_pyro_categorical_support") or self._validate_args:
            log_prob: Tensor = super().log_prob(value)
            return log_prob
        shape = broadcast_shape(value.shape, self.batch_shape)
        index = value.long().expand(shape).unsqueeze(-1)
        return self.logits.expand(*shape, self._num_events).gather(-1, index).squeeze(-1)


def inverse_distribution(log_probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The first value whose cumulative probability exceeds a number in [0, 1); never one of probability 0.

    For normalised log-probabilities (..., S) and numbers (*more, ...) in float64 it is (*more, ...), int64.
    """
    reached = log_probabilities.detach().exp().cumsum(-1, dtype=torch.float64)
    threshold = uniform * reached[..., -1]  # the sum is 1 up to rounding
    return (reached <= threshold.unsqueeze(-1)).sum(-1)
