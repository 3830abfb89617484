"""Reads glimpses one after the other: the state after each, and the parameters of the next location.

    state[g]        = core(glimpse(image, location[g]), state[g - 1]),     state[-1] = 0
    parameters[g]   = head(state[g - 1], context)

Given the locations, all patches are cut at once and the core runs once over all glimpses of all particles;
drawing takes one glimpse at a time. Model and guide differ in the context: the model's is what it knows of an
image before the first glimpse (if anything), the guide's has seen the label too.

Source: Mnih et al. (2014); Ba, Mnih and Kavukcuoglu (2015), for the context.
Shapes: B data, G glimpses, F features of a glimpse, H of the state, M of the context, A actions; ... = dims
inference adds on the left.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.ops.patches import Sensor


class Core(Protocol):
    """A recurrence that reads all steps at once, or one by one."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Maps (..., G, F) to (..., G, H)."""

    def start(self, rows: torch.Size) -> Any:
        """The state before the first step."""

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step further: (..., F) to the features (..., H) and the next state."""

    @property
    def features(self) -> int:
        """H."""


class GlimpseReader:
    """Reads one batch of images at any locations; a `hardpp.distributions.glimpses.Policy`.

    Args:
        images: (B, channels, height, width).
        sensor, network, core, head, detached: see `hardpp.models.glimpse_classifier`.
        space: a `hardpp.distributions.location_spaces.Space`.
        context: (B, M), None for none.
    """

    def __init__(
        self,
        images: Tensor,
        sensor: Sensor,
        space: Any,
        network: GlimpseNetwork,
        core: Core,
        head: nn.Module,
        context: Tensor | None,
        *,
        detached: bool = False,
    ):
        self.sight, self.space = sensor.of(images), space
        self.network, self.core, self.head = network, core, head
        self.context, self.detached = context, detached
        grid = space.all_locations(images.device)
        self.table = None if grid is None else network.locate(grid.centre, grid.scale)  # (A, F)
        self._last_states: tuple[Tensor, Tensor] | None = None  # locations and their states
        self._last_parameters: tuple[Tensor, Tensor] | None = None  # states and the parameters from them

    def states(self, value: Tensor) -> Tensor:
        """The state after each glimpse, (..., B, G, H); the same tensor of locations is read once only."""
        if self._last_states is not None and self._last_states[0] is value:
            states = self._last_states[1]
            if states.requires_grad or not torch.is_grad_enabled():
                return states
        states = self.core(self._glimpses(value))
        self._last_states = value, states
        return states

    def parameters(self, value: Tensor) -> Tensor:
        states = self.states(value)
        if self._last_parameters is None or self._last_parameters[0] is not states:
            before = pad(states[..., :-1, :], (0, 0, 1, 0))
            context = None if self.context is None else self.context.unsqueeze(-2)
            self._last_parameters = states, self._next(before, context)
        return self._last_parameters[1]

    def start(self, rows: torch.Size) -> tuple[Tensor, Any]:
        weight = next(self.head.parameters())
        return weight.new_zeros(*rows, self.core.features), self.core.start(rows)

    def step(self, state: tuple[Tensor, Any], last: Tensor | None) -> tuple[Tensor, tuple[Tensor, Any]]:
        if last is not None:
            glimpse = self._glimpses(last.unsqueeze(-1 - len(self.space.event_shape))).squeeze(-2)
            state = self.core.step(glimpse, state[1])
        return self._next(state[0], self.context), state

    def _next(self, states: Tensor, context: Tensor | None) -> Tensor:
        return self.head(states.detach() if self.detached else states, context)

    # Features (..., B, G, F) of the glimpses at locations (..., B, G, *event).
    def _glimpses(self, value: Tensor) -> Tensor:
        locations = self.space.locations(value)
        patches = self.sight.patches(locations.centre, locations.scale)
        if self.table is None:
            where = self.network.locate(locations.centre, locations.scale)
        else:
            where = embedding(locations.action, self.table)
        weight = next(self.network.parameters())
        return self.network(patches.to(weight.dtype), where)
