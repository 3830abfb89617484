"""Where a glimpse may look: on a grid, or anywhere; and at which of a few scales.

    grid        cell ~ Categorical(G x G cells)            value: scale * G^2 + cell
    continuous  (y, x) ~ Normal(tanh(.), spread) on [-1, 1]^2    value: (y, x) or (y, x, scale)

and scale ~ Categorical(scales), independent of the place given the parameters, as in WS-RAM. Both spaces turn
parameters into a distribution and draws into places, so that a program need not know which one it has.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models; truncation
is ours.
Shapes: G cells a side, A actions (cells by scales); ... = plates and steps.
"""

from typing import Any, ClassVar, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.truncated_normal import TruncatedNormal


class Places(NamedTuple):
    """Where glimpses are, whatever the space."""

    at: Tensor  # (..., 2) y and x, from -1 to 1
    scale: Tensor | None  # (...) int64, None where there is one scale
    action: Tensor | None  # (...) int64, which of a finite number of places; None where there are more


class GridSpace(NamedTuple):
    """Centres of G by G equal cells, row by row from the top left, and scales."""

    cells: int  # G
    scales: int = 1

    @property
    def event_shape(self) -> torch.Size:
        """An action is a number."""
        return torch.Size()

    @property
    def outputs(self) -> int:
        """How many numbers parametrise a distribution of places."""
        return self.cells**2 + (self.scales if self.scales > 1 else 0)

    @property
    def actions(self) -> int:
        """A."""
        return self.cells**2 * self.scales

    def distribution(self, parameters: Tensor) -> Any:
        """Of actions, (...), from parameters (..., outputs)."""
        if self.scales == 1:
            return Categorical(logits=parameters)
        cell, scale = parameters.split([self.cells**2, self.scales], -1)
        return Categorical(logits=(scale.unsqueeze(-1) + cell.unsqueeze(-2)).flatten(-2))

    def places(self, value: Tensor) -> Places:
        """Of actions (...), int64."""
        cell = value % self.cells**2
        rows = torch.stack([cell // self.cells, cell % self.cells], -1)
        at = (2 * rows + 1).to(torch.get_default_dtype()) / self.cells - 1
        return Places(at, None if self.scales == 1 else value // self.cells**2, value)

    def every(self, device: torch.device) -> Places | None:
        """All actions, (A)."""
        return self.places(torch.arange(self.actions, device=device))


class ContinuousSpace(NamedTuple):
    """Anywhere in the image, and scales."""

    spread: float = 0.1  # the standard deviation of the normal before it is truncated; an image is 2 wide
    scales: int = 1

    @property
    def event_shape(self) -> torch.Size:
        """Numbers that a place is told by."""
        return torch.Size([2 + (self.scales > 1)])

    @property
    def outputs(self) -> int:
        """How many numbers parametrise a distribution of places."""
        return 2 + (self.scales if self.scales > 1 else 0)

    def distribution(self, parameters: Tensor) -> Any:
        """Of places, (...) with one event dim, from parameters (..., outputs)."""
        at = TruncatedNormal(torch.tanh(parameters[..., :2]), self.spread).to_event(1)
        return at if self.scales == 1 else PlaceAndScale(at, Categorical(logits=parameters[..., 2:]))

    def places(self, value: Tensor) -> Places:
        """Of draws (..., 2) or (..., 3)."""
        return Places(value[..., :2], None if self.scales == 1 else value[..., 2].long(), None)

    def every(self, device: torch.device) -> Places | None:
        """None: there is no end of them."""
        return None


Space = GridSpace | ContinuousSpace


class PlaceAndScale(dist.TorchDistribution):
    """A place (..., 2) and the number of a scale, independent, as one value (..., 3).

    Args:
        place: of batch shape (...), event shape (2).
        scale: a Categorical of batch shape (...).
    """

    has_rsample = False
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, place: Any, scale: Categorical):
        self.place, self.scale = place, scale
        super().__init__(place.batch_shape, torch.Size([3]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "PlaceAndScale":
        """The same distribution in more plates."""
        return PlaceAndScale(self.place.expand(batch_shape), self.scale.expand(batch_shape))

    @property
    def support(self) -> Any:
        """Three numbers."""
        return constraints.real_vector

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of both, in nats: (...)."""
        found: Tensor = self.place.log_prob(value[..., :2])
        return found + self.scale.log_prob(value[..., 2])

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, (*sample_shape, ..., 3)."""
        place = self.place.sample(sample_shape)
        return torch.cat([place, self.scale.sample(sample_shape).unsqueeze(-1).to(place.dtype)], -1)
