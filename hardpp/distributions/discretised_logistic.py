"""Grey values of pixels, 0 to 255: a logistic distribution, rounded.

    P(x) = F(x + 1/2) - F(x - 1/2),    F(t) = sigmoid((t - loc) / scale)

and all that lies below 0 counts as 0, all above 255 as 255, so that the probabilities of the 256 values sum
to 1. A log-probability is therefore never above 0, and divided by log 2 it is bits: it can be compared with
that of any other model of the same values, where a density of pixels that are numbers of bytes cannot.

Source: Salimans, Karpathy, Chen and Kingma (2017), PixelCNN++, section 2.1, with one component.
Shapes: ... = plates, and the pixels of an image.
"""

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, softplus

from hardpp.ops.precision import at_least_single

LARGEST = 255


class DiscretisedLogistic(dist.TorchDistribution):
    """A value of 0 to 255 for each of `loc` (...), in units of grey values, and `scale`, above 0."""

    has_rsample = False
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, loc: Tensor, scale: Tensor):
        self.loc, self.scale = torch.broadcast_tensors(at_least_single(loc), at_least_single(scale))
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "DiscretisedLogistic":
        return DiscretisedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    @property
    def support(self) -> Any:
        return constraints.integer_interval(0, LARGEST)

    @property
    def mean(self) -> Tensor:
        """The mean of the logistic once it is cut at 0 and at 255; rounding moves it by at most 1/2."""
        return self.scale * (softplus(self.loc / self.scale) - softplus((self.loc - LARGEST) / self.scale))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of whole values from 0 to 255, of any dtype."""
        apart = value.to(self.loc.dtype) - self.loc
        above, below = (apart + 0.5) / self.scale, (apart - 0.5) / self.scale
        # sigmoid(above) - sigmoid(below) = sigmoid(above) sigmoid(-below) (1 - exp(below - above))
        up, down = logsigmoid(above), logsigmoid(-below)
        between = up + down + (-torch.expm1(-1 / self.scale)).log()
        return torch.where(value <= 0, up, torch.where(value >= LARGEST, down, between))

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, (*sample_shape, ...), of the dtype of `loc`."""
        shape = torch.Size(sample_shape) + self.batch_shape
        level = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        return (self.loc + self.scale * level.logit(eps=1e-7)).round().clamp(0, LARGEST)
