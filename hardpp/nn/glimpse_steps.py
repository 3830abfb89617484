"""Glimpses that are read one after the other without gradients, and then, all at once, with theirs.

Drawing needs the state after each glimpse before it knows where the next one is; derivatives do not. So the
steps run in memory that is there once, and what they compute is kept; then it enters the graph of derivatives
as a few layers over all glimpses (`hardpp.ops.known_layer`, `hardpp.ops.relu_scan`), and nothing is computed
twice.

This is for perceptrons and a core of rectified units; `hardpp.nn.glimpse_reader` reads with any networks.

Shapes: B data, G glimpses, R rows (particles by data), H features of the state; ... = dims inference adds on
the left.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hardpp.nn.glimpse_network import GlimpseNetwork, LocationHead
from hardpp.nn.glimpse_places import ActionRows, Places
from hardpp.nn.recurrent import ReluWeights, StepwiseRNN
from hardpp.ops.known_layer import known_layer
from hardpp.ops.own_derivatives import is_watched
from hardpp.ops.relu_scan import relu_scan


class Layers(NamedTuple):
    """What the steps are made of."""

    network: GlimpseNetwork
    what: tuple[nn.Linear, ...]
    core: ReluWeights
    head: LocationHead


def layers_of(network: Any, core: Any, head: Any) -> Layers | None:
    """The layers, if the networks are made of such as the steps take, and nobody watches them; else None."""
    known = isinstance(network, GlimpseNetwork) and isinstance(head, LocationHead)
    if not (known and type(core) is StepwiseRNN):
        return None
    what, weights = network.layers, core.relu_weights()
    if what is None or weights is None:
        return None
    for part in (network, core, head):
        if any(is_watched(each) for each in part.parameters()):
            return None
        if any(each._forward_hooks or each._forward_pre_hooks for each in part.modules()):
            return None
    return Layers(network, what, weights, head)


class GlimpseSteps:
    """The steps of one draw of locations.

    Args:
        layers: see `layers_of`.
        places: of the images.
        clue: what the head makes of the context, (B, .), or None.
        rows: (..., B).
        glimpses: G.
        table: rows of all actions of all images; None: each glimpse is read by itself.
    """

    def __init__(
        self,
        layers: Layers,
        places: Places,
        clue: Tensor | None,
        rows: torch.Size,
        glimpses: int,
        table: ActionRows | None,
    ):
        self.layers, self.places, self.rows, self.glimpses, self.table = layers, places, rows, glimpses, table
        self.keeps = torch.is_grad_enabled()
        state, last = layers.head.state, layers.head.last
        self.clue = state.bias if clue is None else state.bias + clue
        self._looked = self._chosen = 0
        kept = glimpses if self.keeps else 1
        self._states = self._memory(glimpses + 1, len(layers.core.bias))
        self._states[0] = 0
        self._parameters = self._memory(glimpses, last.out_features)
        self._hidden = self._memory(kept, last.in_features)
        self._gates = self._memory(kept, len(layers.core.bias))
        if table is None:
            self._pixels = self._memory(kept, layers.what[0].in_features)
            self._seen = [self._memory(kept, each.out_features) for each in layers.what]
        self._graph: tuple[int, Tensor, Tensor] | None = None  # how many glimpses it is over, and states

    @torch.no_grad()
    def choose(self) -> Tensor:
        """The parameters of the next location, (..., B, outputs)."""
        t, head = self._chosen, self.layers.head
        hidden, found = self._slot(self._hidden, t), self._parameters[t]
        hidden.view(*self.rows, -1).copy_(self.clue)
        if t:
            hidden.addmm_(self._states[t], head.state.weight.t())
        torch.addmm(head.last.bias, hidden.relu_(), head.last.weight.t(), out=found)
        self._chosen += 1
        return found.view(*self.rows, -1)

    @torch.no_grad()
    def look(self, value: Tensor) -> None:
        """Reads the next glimpse, at locations (..., B, *event)."""
        t, core = self._looked, self.layers.core
        gates = self._slot(self._gates, t)
        if self.table is not None:
            self.table.copy(value, gates)
        else:
            seen = self._slot(self._pixels, t)
            marks = self.places.marks(value.unsqueeze(len(self.rows)))
            sight = self.places.sight
            sight.cut(marks, seen.view(*self.rows, 1, *sight.patch))
            for layer, memory in zip(self.layers.what, self._seen, strict=True):
                seen = torch.addmm(layer.bias, seen, layer.weight.t(), out=self._slot(memory, t)).relu_()
            seen = seen * self.places.features(value).view(seen.shape)
            torch.addmm(core.bias, seen, core.of_inputs.t(), out=gates)
        torch.addmm(gates, self._states[t], core.of_state.t(), out=self._states[t + 1]).relu_()
        self._looked += 1

    def states(self, value: Tensor) -> Tensor:
        """The state after each glimpse, (..., B, G, H), given all locations that were drawn."""
        if self._looked < self.glimpses:
            self.look(value.select(len(self.rows), self.glimpses - 1))
        return self._by_row(self._with_gradients(value)[1])

    def parameters(self, value: Tensor, *, detached: bool) -> Tensor:
        """The parameters of each location, (..., B, G, outputs); detached, states learn nothing from them."""
        if not torch.is_grad_enabled():
            return self._by_row(self._parameters)
        before, head = self._with_gradients(value)[0][: self.glimpses], self.layers.head
        before = self._apart(before.detach() if detached else before)
        hidden = self._apart(self._hidden)
        hidden = known_layer(hidden, before, head.state.weight, self.clue, rectified=True)
        found = self._apart(self._parameters)
        return known_layer(found, hidden, head.last.weight, head.last.bias).movedim(0, -2)

    # The states before and after the glimpses that were read, (N + 1, R, H) and (N, R, H).
    def _with_gradients(self, value: Tensor) -> tuple[Tensor, Tensor]:
        N, core = self._looked, self.layers.core
        if not torch.is_grad_enabled():
            return self._states[: N + 1], self._states[1 : N + 1]
        if self._graph is None or self._graph[0] != N:
            value = value.narrow(len(self.rows), 0, N)
            if self.table is not None:
                gates = self.table.at(value)
            else:
                seen = self._pixels[:N]
                for layer, memory in zip(self.layers.what, self._seen, strict=True):
                    seen = known_layer(memory[:N], seen, layer.weight, layer.bias, rectified=True)
                where = self.places.features(value).movedim(len(self.rows), 0)
                gates = known_layer(self._gates[:N], seen * where.flatten(1, -2), core.of_inputs, core.bias)
            self._graph = N, *relu_scan(gates, core.of_state, self._states[: N + 1])
        return self._graph[1:]

    def _memory(self, steps: int, features: int) -> Tensor:
        return self.layers.core.bias.new_empty(steps, self.rows.numel(), features)

    def _slot(self, memory: Tensor, step: int) -> Tensor:
        return memory[step if self.keeps else 0]

    def _apart(self, by_step: Tensor) -> Tensor:
        return by_step.unflatten(1, self.rows)

    def _by_row(self, by_step: Tensor) -> Tensor:
        return by_row(by_step, self.rows)


def by_row(by_step: Tensor, rows: torch.Size) -> Tensor:
    """Brings (N, R, .) to (..., B, N, .), for rows (..., B)."""
    return by_step.unflatten(1, rows).movedim(0, -2)
