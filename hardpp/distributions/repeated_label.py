"""One label, predicted again after every glimpse, observed as the geometric mean of all predictions.

    log p(y | places) = 1/T sum_t log p_t(y | places[0 .. t])

As many steps as there are glimpses, so that objectives credit a glimpse with the predictions that have seen
it (`hardpp.distributions.step_independent`). Every prediction is trained by the likelihood of the label,
hence calibrated as far as the data allow, and the weights of all together are those of one observation. The
mean is not normalised: over labels it sums to one or, where the predictions differ, to less, so that what is
bounded from below stays bounded.

Shapes: B data, T glimpses, V labels; ... = dims inference adds on the left.
"""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.step_independent import StepIndependent


class RepeatedLabel(StepIndependent):
    """A label (..., B), int64, that T predictions are made of.

    Args:
        logits: (..., B, T, V).
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = False  # a plain attribute: there is no base to hand it on to

    def __init__(self, logits: Tensor):
        self.predictions = Categorical(logits=logits)
        self.reinterpreted_batch_ndims = 1
        dist.TorchDistribution.__init__(self, logits.shape[:-2], logits.shape[-2:-1], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "RepeatedLabel":
        """The same predictions in more plates."""
        logits = self.predictions.logits
        return RepeatedLabel(logits.expand(*torch.Size(batch_shape), *logits.shape[-2:]))

    @property
    def support(self) -> Any:
        """Labels."""
        return constraints.nonnegative_integer

    @property
    def base_dist(self) -> Any:
        """All predictions."""
        return self.predictions

    def step_mask(self) -> bool:
        """Every prediction counts."""
        return True

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Labels (*sample_shape, ..., B) from the geometric mean, normalised."""
        return Categorical(logits=self.predictions.logits.mean(-2)).sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The mean of the predictions' log-probabilities of labels (..., B), in nats."""
        return self.step_log_prob(value).sum(-1)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """What every prediction adds, (..., B, T), in nats."""
        return self.predictions.log_prob(value.unsqueeze(-1)) / self.event_shape[0]
