"""What is known of locations before any image is read: where their windows are, and features of where it is.

In a grid both are computed once for each location and looked up; in a continuous space they are computed of
the locations that are asked for. Where particles take more glimpses than a grid has locations, `ActionRows`
reads every location of every image once, for all of them; without gradients, those that are looked at.

Shapes: B data, G glimpses, F features of a glimpse, H of the state, A actions; ... = dims inference adds on
the left.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.nn.recurrent import ReluWeights
from hardpp.ops.patches import Marks, Sight


class Places:
    """Windows and features of locations, of any image of one batch.

    Args:
        sight: the images, prepared.
        space: a `hardpp.distributions.location_spaces.Space`.
        network: has features of locations.
    """

    def __init__(self, sight: Sight, space: Any, network: GlimpseNetwork):
        self.sight, self.space, self.network = sight, space, network
        grid = space.all_locations(sight.sums.device)
        self.actions = 0 if grid is None else len(grid.centre)  # A; 0 where they are infinitely many
        self._table = self._marks = None
        if grid is not None:
            self._table = network.locate(grid.centre, grid.scale)  # (A, F)
            self._marks = sight.marks(grid.centre, grid.scale)

    def marks(self, value: Tensor) -> Marks:
        """Where the windows at locations (..., *event) are."""
        if self._marks is not None:
            return self._marks.at(value)
        locations = self.space.locations(value)
        return self.sight.marks(locations.centre, locations.scale)

    def features(self, value: Tensor) -> Tensor:
        """The features (..., F) of locations (..., *event)."""
        if self._table is not None:
            return embedding(value, self._table)
        locations = self.space.locations(value)
        return self.network.locate(locations.centre, locations.scale)


class ActionRows:
    """What the glimpse of each action of each image adds to the state, as rows (B A, H) of one table.

    Args:
        places, network: what reads a glimpse.
        weights: of the core.
        whole: read all of them now, with gradients; else each when it is first looked at, without.
    """

    def __init__(self, places: Places, network: GlimpseNetwork, weights: ReluWeights, *, whole: bool):
        self.places, self.network, self.weights = places, network, weights
        self.whole = whole
        B, A = places.sight.shape[0], places.actions
        device = places.sight.sums.device
        self._first = torch.arange(0, B * A, A, device=device)  # the row of each image's first action
        self._read: Tensor | None = None
        if whole:
            value = torch.arange(A, device=device).expand(B, A)
            self.rows = self._rows(places.sight, value).flatten(0, 1)
        else:
            self.rows = weights.bias.new_empty(B * A, len(weights.bias))
            self._read = torch.zeros(B * A, dtype=torch.bool, device=device)

    def at(self, value: Tensor) -> Tensor:
        """The rows (G, R, H) of actions (..., B, G), with gradients if they have any."""
        index = value.movedim(-1, 0) + self._first
        self._look(index)
        return embedding(index.flatten(1), self.rows)

    @torch.no_grad()
    def copy(self, value: Tensor, out: Tensor) -> None:
        """The rows (R, H) of actions (..., B), without gradients, in the memory given for it."""
        index = (value + self._first).flatten()
        self._look(index)
        torch.index_select(self.rows, 0, index, out=out)

    @torch.no_grad()
    def _look(self, index: Tensor) -> None:
        if self._read is None:
            return
        wanted = torch.zeros_like(self._read)
        wanted[index.flatten()] = True
        new = (wanted > self._read).nonzero().squeeze(-1)
        if len(new):
            image, action = new // self.places.actions, new % self.places.actions
            self.rows[new] = self._rows(self.places.sight.of_images(image), action.unsqueeze(-1)).squeeze(1)
            self._read |= wanted

    # Of actions (B, G) the rows (B, G, H).
    def _rows(self, sight: Sight, value: Tensor) -> Tensor:
        of_inputs, _, bias = self.weights
        where = self.places.features(value)
        patches = sight.cut(self.places.marks(value)).to(where.dtype)
        return linear(self.network(patches, where), of_inputs, bias)
