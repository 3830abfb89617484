"""Looks along a sequence of places: what each glimpse shows, what is known after it, where to look next.

    state[t]        = core(glimpse(image, place[t]), state[t - 1]),     state[-1] = 0
    parameters[t]   = head(state[t - 1], context)

Given the places, all patches are cut at once and the core runs once over all glimpses of all particles;
drawing looks at one glimpse after the other. Model and guide differ in the context: the model's is what it
knows of an image before the first glimpse (if anything), the guide's has seen the label too.

Source: Mnih et al. (2014); Ba, Mnih and Kavukcuoglu (2015), for what the context may reach.
Shapes: B data, T glimpses, F features of a glimpse, H of the state, M of the context, A actions; ... = dims
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
        """Maps (..., T, F) to (..., T, H)."""

    def start(self, rows: torch.Size) -> Any:
        """The state before the first step."""

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step further: (..., F) to the features (..., H) and the next state."""

    @property
    def features(self) -> int:
        """H."""


class GlimpseReader:
    """One batch of images, to be looked at along any places; a `hardpp.distributions.glimpses.Policy`.

    Args:
        images: (B, C, height, width).
        sensor: what a glimpse sees.
        space: a `hardpp.distributions.location_spaces.Space`.
        network: patches and places to features.
        core: over features.
        head: states and context to parameters.
        context: (B, M), None for none.
        detached: places are chosen from states that learn nothing from it, as in RAM.
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
        every = space.every(images.device)
        self.table = None if every is None else network.place(every.at, every.scale)  # (A, F)
        self._read: tuple[Tensor, Tensor] | None = None  # places and their states
        self._made: tuple[Tensor, Tensor] | None = None  # these states and the parameters made of them

    def states(self, value: Tensor) -> Tensor:
        """What is known after each glimpse, (..., B, T, H); those of the same tensor are read once."""
        if self._read is not None and self._read[0] is value:
            states = self._read[1]
            if states.requires_grad or not torch.is_grad_enabled():
                return states
        states = self.core(self._glimpses(value))
        self._read = value, states
        return states

    def parameters(self, value: Tensor) -> Tensor:
        """Of every place (..., B, T, *event) given those before it, (..., B, T, outputs)."""
        states = self.states(value)
        if self._made is None or self._made[0] is not states:
            before = pad(states[..., :-1, :], (0, 0, 1, 0))
            context = None if self.context is None else self.context.unsqueeze(-2)
            self._made = states, self._next(before, context)
        return self._made[1]

    def start(self, rows: torch.Size) -> tuple[Tensor, Any]:
        """The state before the first glimpse, for rows (..., B)."""
        weight = next(self.head.parameters())
        return weight.new_zeros(*rows, self.core.features), self.core.start(rows)

    def step(self, state: tuple[Tensor, Any], last: Tensor | None) -> tuple[Tensor, tuple[Tensor, Any]]:
        """The parameters (..., B, outputs) of the next place, and the next state."""
        if last is not None:
            glimpse = self._glimpses(last.unsqueeze(-1 - len(self.space.event_shape))).squeeze(-2)
            state = self.core.step(glimpse, state[1])
        return self._next(state[0], self.context), state

    def _next(self, states: Tensor, context: Tensor | None) -> Tensor:
        return self.head(states.detach() if self.detached else states, context)

    # (..., B, T, F) of places (..., B, T, *event).
    def _glimpses(self, value: Tensor) -> Tensor:
        places = self.space.places(value)
        patches = self.sight.patches(places.at, places.scale)
        if self.table is None:
            where = self.network.place(places.at, places.scale)
        else:
            where = embedding(places.action, self.table)
        weight = next(self.network.parameters())
        return self.network(patches.to(weight.dtype), where)
