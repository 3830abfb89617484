"""The locations that a glimpse may have: cells of a grid, or any point of the image; at one of a few scales.

    grid        cell ~ Categorical(C x C cells)            value: scale * C^2 + cell
    continuous  (y, x) ~ Normal(tanh(.), spread) on [-1, 1]^2    value: (y, x) or (y, x, scale)

The centres of cells are those of C x C equal parts of the image, or those of windows of one size, at equal
distances from border to border.

The scale ~ Categorical(scales) is independent of the centre given the parameters, as in WS-RAM. Both spaces
turn parameters into a distribution and draws into locations, so a program need not know which one it has.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models; truncation
is ours.
Shapes: C cells a side, A actions (cells by scales); ... = plates and glimpses.
"""

from math import inf
from typing import Any, ClassVar, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.truncated_normal import TruncatedNormal
from hardpp.ops.nearest_places import nearest_places
from hardpp.ops.patch_grid import first_pixels


class Locations(NamedTuple):
    """Where glimpses are, in either space."""

    centre: Tensor  # (..., 2) y and x, from -1 to 1
    scale: Tensor | None  # (...) int64, None where there is one scale
    action: Tensor | None  # (...) int64, the number of the location in a grid; None in a continuous space


class WindowPlaces(NamedTuple):
    """Windows of `side` pixels on images of height x width pixels, the outermost of which end at the borders.

    They are the patches of a `hardpp.ops.patch_grid.PatchGrid`, to the pixel.
    """

    height: int
    width: int
    side: int
    last: int | None = None  # the first pixel of the last one along each side, where it ends elsewhere

    def centres(self, cell: Tensor, cells: int) -> Tensor:
        """Their centres, from -1 to 1 along both sides, of cells (..., 2) of so many along each."""
        along = [
            (2 * first_pixels(each, cells, self._last(pixels)) + self.side).to(torch.get_default_dtype())
            / pixels
            - 1
            for each, pixels in zip(cell.unbind(-1), (self.height, self.width), strict=True)
        ]
        return torch.stack(along, -1)

    def _last(self, pixels: int) -> int:
        return pixels - self.side if self.last is None else self.last


_COUNTED = 10  # cells a side in which points are counted


class GridSpace(NamedTuple):
    """C by C places, row by row from the top left, and scales."""

    cells: int  # C
    scales: int = 1
    windows: WindowPlaces | None = None  # at whose centres the places are; None: at those of equal cells

    @property
    def event_shape(self) -> torch.Size:
        """Of a location: an action is a number."""
        return torch.Size()

    @property
    def outputs(self) -> int:
        """The number of parameters of a distribution of locations."""
        return self.cells**2 + (self.scales if self.scales > 1 else 0)

    @property
    def actions(self) -> int:
        """A."""
        return self.cells**2 * self.scales

    def distribution(self, parameters: Tensor, barred: Tensor | None = None) -> Any:
        """The distribution of actions (...) with parameters (..., outputs); none is barred (..., A) bool."""
        logits = parameters
        if self.scales > 1:
            cell, scale = parameters.split([self.cells**2, self.scales], -1)
            logits = (scale.unsqueeze(-1) + cell.unsqueeze(-2)).flatten(-2)
        return Categorical(logits=logits if barred is None else logits.masked_fill(barred, -inf))

    def locations(self, value: Tensor) -> Locations:
        """The locations of actions (...), int64."""
        cell = value % self.cells**2
        rows = torch.stack([cell // self.cells, cell % self.cells], -1)
        if self.windows is None:
            centre = (2 * rows + 1).to(torch.get_default_dtype()) / self.cells - 1
        else:
            centre = self.windows.centres(rows, self.cells)
        return Locations(centre, None if self.scales == 1 else value // self.cells**2, value)

    def all_locations(self, device: torch.device) -> Locations | None:
        """The locations of all actions, (A); None where they are infinitely many."""
        return self.locations(torch.arange(self.actions, device=device))

    def cell(self, value: Tensor) -> Tensor:
        """The number of the place of locations (...), row by row: (...) int64."""
        return value % self.cells**2

    def cell_centres(self) -> Tensor:
        """The centre of each row and each column of cells, from -1 to 1: (cells a side, 2)."""
        return self.locations(torch.arange(self.cells) * (self.cells + 1)).centre

    def nearest(self, centre: Tensor, *, revisits: bool = True) -> Tensor:
        """The values of glimpses (..., G) whose centres are nearest to given ones (..., G, 2), at scale 0.

        Without `revisits` the first glimpses choose first, and no place is taken twice.
        """
        places = self.locations(torch.arange(self.cells**2, device=centre.device)).centre
        return nearest_places(centre, places, once=not revisits)


class ContinuousSpace(NamedTuple):
    """Any point of the image, and scales; the members mean what they mean in a `GridSpace`."""

    spread: float = 0.1  # the standard deviation of the normal before it is truncated; an image is 2 wide
    scales: int = 1

    @property
    def event_shape(self) -> torch.Size:
        return torch.Size([2 + (self.scales > 1)])

    @property
    def outputs(self) -> int:
        return 2 + (self.scales if self.scales > 1 else 0)

    def distribution(self, parameters: Tensor, barred: Tensor | None = None) -> Any:
        """The distribution of locations (...), of one event dim, with parameters (..., outputs).

        None can be barred.
        """
        centre = TruncatedNormal(torch.tanh(parameters[..., :2]), self.spread).to_event(1)
        return centre if self.scales == 1 else CentreAndScale(centre, Categorical(logits=parameters[..., 2:]))

    def locations(self, value: Tensor) -> Locations:
        """The locations of draws (..., 2) or (..., 3)."""
        return Locations(value[..., :2], None if self.scales == 1 else value[..., 2].long(), None)

    def all_locations(self, device: torch.device) -> Locations | None:
        return None  # they are infinitely many

    def cell(self, value: Tensor) -> Tensor:
        """The number of the one of 10 by 10 equal cells that locations (...) are in."""
        rows = ((value[..., :2] + 1) / 2 * _COUNTED).clamp(0, _COUNTED - 1).long()
        return rows[..., 0] * _COUNTED + rows[..., 1]

    def cell_centres(self) -> Tensor:
        middle = (2 * torch.arange(_COUNTED) + 1) / _COUNTED - 1
        return torch.stack([middle, middle], -1)

    def nearest(self, centre: Tensor, *, revisits: bool = True) -> Tensor:
        """Given centres as values (..., G, 2), or (..., G, 3) at scale 0; nowhere is a place taken."""
        return centre if self.scales == 1 else torch.nn.functional.pad(centre, (0, 1))


Space = GridSpace | ContinuousSpace


class CentreAndScale(dist.TorchDistribution):
    """A centre, with event shape (2), and the number of a scale, independent, as one value (..., 3)."""

    has_rsample = False
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, centre: Any, scale: Categorical):
        self.centre, self.scale = centre, scale
        super().__init__(centre.batch_shape, torch.Size([3]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "CentreAndScale":
        return CentreAndScale(self.centre.expand(batch_shape), self.scale.expand(batch_shape))

    @property
    def support(self) -> Any:
        return constraints.real_vector

    def log_prob(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.centre.log_prob(value[..., :2])
        return log_prob + self.scale.log_prob(value[..., 2])

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        centre = self.centre.sample(sample_shape)
        return torch.cat([centre, self.scale.sample(sample_shape).unsqueeze(-1).to(centre.dtype)], -1)
