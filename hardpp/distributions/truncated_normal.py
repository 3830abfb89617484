"""A normal distribution truncated to an interval, with its exact density.

    p(x) = N(x; loc, scale) / (Phi((high - loc) / scale) - Phi((low - loc) / scale)),    low <= x <= high

Clamping a normal draw instead piles up probability at the ends, which the normal density does not contain:
the score-function gradient would then be that of another distribution.

Shapes: ... = plates.
"""

from math import log, pi, sqrt
from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.ops.precision import at_least_single


class TruncatedNormal(dist.TorchDistribution):
    """Normal(loc, scale) given that the value lies in [low, high], as `loc` must (so no difference cancels).

    Draws are not reparameterised: the patch read at a location has no derivative in the location.

    Args:
        loc: (...), between `low` and `high`.
        scale: of the normal before truncation, above 0.
        low, high: the ends; `low` is below `high`.
    """

    has_rsample = False
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, loc: Tensor, scale: float, low: float = -1.0, high: float = 1.0):
        if not (low < high and scale > 0):
            raise ValueError(f"expected low < high and scale > 0, got {low}, {high} and {scale}")
        self.loc = at_least_single(loc)
        self.scale, self.low, self.high = scale, low, high
        super().__init__(loc.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TruncatedNormal":
        return TruncatedNormal(self.loc.expand(batch_shape), self.scale, self.low, self.high)

    @property
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density, in nats a unit of length; minus infinity outside of the interval."""
        log_density = -0.5 * ((value - self.loc) / self.scale) ** 2 - log(self.scale * sqrt(2 * pi))
        below, above = self._ends(self.loc)
        log_density = log_density - ((above - below) / 2).log()
        return log_density.masked_fill((value < self.low) | (value > self.high), -torch.inf)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, (*sample_shape, ...): the inverse of the distribution function."""
        shape = torch.Size(sample_shape) + self.batch_shape
        wide = self.loc if self.loc.device.type == "mps" else self.loc.double()
        below, above = self._ends(wide)
        level = below + torch.rand(shape, dtype=wide.dtype, device=wide.device) * (above - below)
        value = wide + self.scale * sqrt(2) * torch.erfinv(level)
        return value.clamp(self.low, self.high).to(self.loc.dtype)

    # erf at both ends: one is not above 0 and the other not below, so that their difference is exact.
    def _ends(self, loc: Tensor) -> tuple[Tensor, Tensor]:
        unit = self.scale * sqrt(2)
        return torch.erf((self.low - loc) / unit), torch.erf((self.high - loc) / unit)
