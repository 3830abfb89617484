"""One label that is predicted after every glimpse and observed as the geometric mean of the predictions.

    log p(y | locations) = 1/G sum_g log p_g(y | locations[0 .. g])

There is one step for each glimpse, so objectives credit a glimpse with the predictions that have seen it
(`hardpp.distributions.step_independent`). The likelihood of the label trains every prediction, and all
together weigh as much as one observation. The mean is not normalised: over labels it sums to one or, where
the predictions differ, to less, so a lower bound stays a lower bound.

Shapes: B data, G glimpses, V labels; ... = dims inference adds on the left.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.step_independent import DependentSteps


class RepeatedLabel(DependentSteps):
    """A label (..., B), int64, with G predictions of it, from logits (..., B, G, V)."""

    def __init__(self, logits: Tensor):
        self._of(Categorical(logits=logits))

    def expand(self, batch_shape: Any, _instance: Any = None) -> "RepeatedLabel":
        logits = self.predictions.logits
        wide = logits.expand(*torch.Size(batch_shape), *logits.shape[-2:])
        new = self.__new__(type(self))
        new._of(Categorical.normalised(wide))
        return new

    def _of(self, predictions: Categorical) -> None:
        self.predictions = predictions
        super().__init__(predictions.batch_shape[:-1], predictions.batch_shape[-1:])

    @property
    def support(self) -> Any:
        return constraints.nonnegative_integer

    @property
    def base_dist(self) -> Any:
        return self.predictions

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Labels (*sample_shape, ..., B) from the geometric mean, normalised."""
        return Categorical(logits=self.predictions.logits.mean(-2)).sample(sample_shape)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The share of every prediction in `log_prob`, (..., B, G), in nats."""
        return self.predictions.log_prob(value.unsqueeze(-1)) / self.event_shape[0]
