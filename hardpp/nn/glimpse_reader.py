"""Reads glimpses one after the other: the state after each, and the parameters of the next location.

    state[g]        = core(glimpse(image, location[g]), state[g - 1]),     state[-1] = 0
    parameters[g]   = head(state[g - 1], context)

Given the locations, all patches are cut at once and the core runs once over all glimpses of all particles;
drawing takes one glimpse at a time. What was drawn is mostly scored next, by the same networks: so what
drawing computes is kept, and nothing is read twice: by networks of the usual kind without gradients, which
come when they are asked for (`hardpp.nn.glimpse_steps`), by others with theirs. Model and guide differ in the
context: the model's is what it knows of an image before the first glimpse (if anything), the guide's has seen
the label too.

Source: Mnih et al. (2014); Ba, Mnih and Kavukcuoglu (2015), for the context.
Shapes: B data, G glimpses, F features of a glimpse, H of the state, M of the context, A actions; ... = dims
inference adds on the left.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.nn.glimpse_places import ActionRows, Places
from hardpp.nn.glimpse_steps import GlimpseSteps, Layers, by_row, layers_of
from hardpp.ops.own_derivatives import is_watched
from hardpp.ops.patches import Sensor
from hardpp.ops.relu_scan import relu_scan


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
    parameters: Tensor | None  # (..., B, G, outputs); None: the steps know
    reading: Reading | GlimpseSteps  # up to the last glimpse, which it has not read
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
        self.places = Places(self.sight, space, network)
        self._rows: ActionRows | None = None
        self._drawn: Drawn | None = None
        self._last_known: tuple[Tensor, Tensor, Tensor] | None = None  # locations, and states of a table
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
            known = self._from_table(value)
            states = self.core(self._glimpses(value)) if known is None else by_row(known[1], value.shape[:-1])
        elif isinstance(drawn.reading, GlimpseSteps):
            states = drawn.reading.states(value)
        else:
            last = value.select(-1 - len(self.space.event_shape), -1)
            states = torch.stack(self._read(drawn.reading, last).features[1:], -2)
        self._last_states = value, states
        return states

    def parameters(self, value: Tensor) -> Tensor:
        drawn = self._drawn_as(value)
        if drawn is not None and isinstance(drawn.reading, GlimpseSteps):
            return drawn.reading.parameters(value, detached=self.detached)
        if drawn is not None and drawn.parameters is not None:
            return drawn.parameters
        known = self._from_table(value)
        if known is not None:
            before = known[0][:-1].unflatten(1, value.shape[:-1])
            return self._next(before, self.clue).movedim(0, -2)
        states = self.states(value)
        if self._last_parameters is None or self._last_parameters[0] is not states:
            before = pad(states[..., :-1, :], (0, 0, 1, 0))
            clue = None if self.clue is None else self.clue.unsqueeze(-2)
            self._last_parameters = states, self._next(before, clue)
        return self._last_parameters[1]

    def start(self, rows: torch.Size, glimpses: int) -> Reading | GlimpseSteps:
        layers = self._layers()
        if layers is not None:
            table = self._table(rows[:-1].numel() * glimpses, layers)
            return GlimpseSteps(layers, self.places, self.clue, rows, glimpses, table)
        nothing = self.core.start(rows)
        # Before the first glimpse particles do not differ.
        of_one = torch.zeros(*rows[-1:], self.core.features, dtype=self.dtype, device=self._device)
        return Reading(nothing, (of_one,))

    def step(self, state: Any, last: Tensor | None) -> tuple[Tensor, Any]:
        if isinstance(state, GlimpseSteps):
            if last is not None:
                state.look(last)
            return state.choose(), state
        if last is not None:
            state = self._read(state, last)
        return self._next(state.features[-1], self.clue), state

    def keep(self, value: Tensor, parameters: Sequence[Tensor], state: Any) -> None:
        if isinstance(state, GlimpseSteps):
            self._drawn = Drawn(value, None, state, state.keeps)
            return
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
        patches = self.sight.cut(self.places.marks(value)).to(self.dtype)
        return self.network(patches, self.places.features(value))

    def _layers(self) -> Layers | None:
        if is_watched(self.sight.sums) or (self.clue is not None and is_watched(self.clue)):
            return None
        return layers_of(self.network, self.core, self.head)

    # The states before and after each glimpse at given locations, (G + 1, R, H) and (G, R, H), if they are
    # better read from a table; the same tensor of locations is read once only.
    def _from_table(self, value: Tensor) -> tuple[Tensor, Tensor] | None:
        last = self._last_known
        if last is not None and last[0] is value and (last[2].requires_grad or not torch.is_grad_enabled()):
            return last[1:]
        layers = self._layers() if self.places.actions and not is_watched(value) else None
        table = None if layers is None else self._table(value.numel() // self.sight.shape[0], layers)
        if layers is None or table is None:
            return None
        known = relu_scan(table.at(value), layers.core.of_state)
        self._last_known = value, *known
        return known

    # Rows of all actions, if so many glimpses of each image are better read from such.
    def _table(self, count: int, layers: Layers) -> ActionRows | None:
        gradients, actions = torch.is_grad_enabled(), self.places.actions
        # Which of them are looked at is known on the host, which only a CPU tells without waiting.
        worth = count > actions or not (gradients or self._device.type != "cpu")
        if not (actions and worth):
            return None
        if self._rows is None or (gradients and not self._rows.whole):
            self._rows = ActionRows(self.places, self.network, layers.core, whole=gradients)
        return self._rows
