"""Reads glimpses one after the other: the state after each, and the parameters of the next location.

    state[g]        = core(glimpse(image, location[g]), state[g - 1]),     state[-1] = 0
    parameters[g]   = head(state[g - 1], context)

Given the locations, all patches are cut at once and the core runs once over all glimpses of all particles;
drawing takes one glimpse at a time. What was drawn is mostly scored next, by the same networks: so what
drawing computes is kept, with its gradient, and nothing is read twice. Model and guide differ in the context:
the model's is what it knows of an image before the first glimpse (if anything), the guide's has seen the
label too.

Source: Mnih et al. (2014); Ba, Mnih and Kavukcuoglu (2015), for the context.
Shapes: B data, G glimpses, F features of a glimpse, H of the state, M of the context, A actions; ... = dims
inference adds on the left.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
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


class Head(Protocol):
    """What chooses the next location."""

    def clue(self, context: Tensor | None) -> Tensor | None:
        """What it makes of a context (..., M), None where there is none; the same for all glimpses."""

    def choose(self, state: Tensor, clue: Tensor | None) -> Tensor:
        """The parameters (..., outputs) of the next location, given states (..., H); a clue broadcasts."""


class Reading(NamedTuple):
    """What drawing has read so far."""

    state: Any  # of the core
    features: tuple[Tensor, ...]  # (..., B, H) before the first glimpse and after each since


class Drawn(NamedTuple):
    """What was computed while locations were drawn."""

    value: Tensor  # the locations
    parameters: Tensor  # (..., B, G, outputs)
    reading: Reading  # up to the last glimpse, which it has not read
    differentiable: bool


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
        head: Head,
        context: Tensor | None,
        *,
        detached: bool = False,
    ):
        self.sight, self.space = sensor.of(images), space
        self.network, self.core, self.head = network, core, head
        self.clue, self.detached = head.clue(context), detached
        self.dtype = next(network.parameters()).dtype
        grid = space.all_locations(images.device)
        self.table = self.marks = None
        if grid is not None:
            self.table = network.locate(grid.centre, grid.scale)  # (A, F)
            self.marks = self.sight.marks(grid.centre, grid.scale)
        self._drawn: Drawn | None = None
        self._last_states: tuple[Tensor, Tensor] | None = None  # locations and their states
        self._last_parameters: tuple[Tensor, Tensor] | None = None  # states and the parameters from them

    def states(self, value: Tensor) -> Tensor:
        """The state after each glimpse, (..., B, G, H); the same tensor of locations is read once only."""
        if self._last_states is not None and self._last_states[0] is value:
            states = self._last_states[1]
            if states.requires_grad or not torch.is_grad_enabled():
                return states
        drawn = self._drawn_as(value)
        if drawn is None:
            states = self.core(self._glimpses(value))
        else:
            last = value.select(-1 - len(self.space.event_shape), -1)
            states = torch.stack(self._read(drawn.reading, last).features[1:], -2)
        self._last_states = value, states
        return states

    def parameters(self, value: Tensor) -> Tensor:
        drawn = self._drawn_as(value)
        if drawn is not None:
            return drawn.parameters
        states = self.states(value)
        if self._last_parameters is None or self._last_parameters[0] is not states:
            before = pad(states[..., :-1, :], (0, 0, 1, 0))
            clue = None if self.clue is None else self.clue.unsqueeze(-2)
            self._last_parameters = states, self._next(before, clue)
        return self._last_parameters[1]

    def start(self, rows: torch.Size) -> Reading:
        nothing = self.core.start(rows)
        # Before the first glimpse particles do not differ.
        of_one = torch.zeros(*rows[-1:], self.core.features, dtype=self.dtype, device=self._device)
        return Reading(nothing, (of_one,))

    def step(self, state: Reading, last: Tensor | None) -> tuple[Tensor, Reading]:
        if last is not None:
            state = self._read(state, last)
        return self._next(state.features[-1], self.clue), state

    def keep(self, value: Tensor, parameters: Sequence[Tensor], state: Reading) -> None:
        together = torch.stack(torch.broadcast_tensors(*parameters), -2)
        self._drawn = Drawn(value, together, state, torch.is_grad_enabled())

    # What was computed when these very locations were drawn, if that will do.
    def _drawn_as(self, value: Tensor) -> Drawn | None:
        drawn = self._drawn
        if drawn is None or drawn.value is not value:
            return None
        return drawn if drawn.differentiable or not torch.is_grad_enabled() else None

    # One glimpse further, at locations (..., B, *event).
    def _read(self, reading: Reading, last: Tensor) -> Reading:
        glimpse = self._glimpses(last.unsqueeze(-1 - len(self.space.event_shape))).squeeze(-2)
        features, state = self.core.step(glimpse, reading.state)
        return Reading(state, (*reading.features, features))

    def _next(self, states: Tensor, clue: Tensor | None) -> Tensor:
        return self.head.choose(states.detach() if self.detached else states, clue)

    @property
    def _device(self) -> torch.device:
        return self.sight.sums.device

    # Features (..., B, G, F) of the glimpses at locations (..., B, G, *event).
    def _glimpses(self, value: Tensor) -> Tensor:
        if self.marks is None or self.table is None:
            locations = self.space.locations(value)
            marks = self.sight.marks(locations.centre, locations.scale)
            where = self.network.locate(locations.centre, locations.scale)
        else:
            marks, where = self.marks.at(value), embedding(value, self.table)
        return self.network(self.sight.cut(marks).to(self.dtype), where)
