"""Places drawn one after the other, none of them twice, all that are left as likely: uniform sequences.

    p(z_1 .. z_G) = (L - G)! / L!        where all are different, and 0 elsewhere

Shapes: B data, G glimpses, L places; ... = dims inference adds on the left.
"""

from math import lgamma
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class DistinctPlaces(TorchDistribution):
    """Sequences (..., B, G) of different places, int64.

    Args:
        places: L.
        glimpses: G, at most L.
        size: B.
        device: of the draws.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.independent(constraints.nonnegative_integer, 1)

    def __init__(self, places: int, glimpses: int, size: int, device: torch.device | str = "cpu"):
        if glimpses > places:
            raise ValueError(f"{glimpses} glimpses cannot be at different ones of {places} places")
        self.places, self.device = places, torch.device(device)
        super().__init__(torch.Size([size]), torch.Size([glimpses]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "DistinctPlaces":
        new = DistinctPlaces(self.places, self.event_shape[0], 1, self.device)
        new._batch_shape = torch.Size(batch_shape)
        return new

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        even = torch.ones(shape.numel(), self.places, device=self.device)
        if not self.event_shape.numel() or not len(even):
            return torch.zeros(shape + self.event_shape, dtype=torch.int64, device=self.device)
        return even.multinomial(self.event_shape[0]).view(shape + self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        G = self.event_shape[0]
        sequences = lgamma(self.places + 1) - lgamma(self.places - G + 1)  # log of how many there are
        ordered = value.sort(-1).values
        different = (ordered[..., 1:] != ordered[..., :-1]).all(-1)
        inside = ((value >= 0) & (value < self.places)).all(-1)
        none = torch.full(different.shape, -torch.inf, device=value.device)
        return none.masked_fill(different & inside, -sequences)
