"""The locations of all glimpses of an image, as one draw; each depends on what earlier glimpses have shown.

    location[g] ~ space.distribution(parameters(location[0 .. g-1])),    g = 0 .. G-1

Drawing is a loop over glimpses. Scoring given locations is not: all that the parameters depend on is known at
once. A `Policy` computes the parameters both ways. Objectives credit each glimpse by itself, as the steps of
`hardpp.distributions.step_independent`, though glimpses are not independent. In a grid an action that was
taken may be forbidden afterwards: a second glimpse there shows nothing new, yet a policy that has found one
good location tends to settle on it.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models.
Shapes: B data, G glimpses, A actions; ... = dims inference adds on the left.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.location_spaces import GridSpace, Space
from hardpp.distributions.step_independent import DependentSteps


class Policy(Protocol):
    """Computes the parameters of the next location from the glimpses before it."""

    def parameters(self, value: Tensor) -> Tensor:
        """The parameters of every location (..., B, G, outputs), given all locations (..., B, G, *event)."""

    def start(self, rows: torch.Size, glimpses: int) -> Any:
        """The state before the first of so many glimpses, for rows (..., B)."""

    def step(self, state: Any, last: Tensor | None) -> tuple[Tensor, Any]:
        """The parameters (..., B, outputs) of the next location, and the next state.

        The last location is (..., B, *event), None before the first. Parameters may lack dims on the left
        where all draws have the same.
        """

    def keep(self, value: Tensor, parameters: Sequence[Tensor], state: Any) -> None:
        """Takes all locations that were drawn, the parameters of each, and the state before the last one.

        Locations are mostly scored once they are drawn, and what drawing has computed serves again.
        """


class Glimpses(DependentSteps):
    """Locations (..., B, G, *event): actions, int64, in a `GridSpace`, points in a `ContinuousSpace`.

    Args:
        policy: computes the parameters.
        space: the possible locations.
        glimpses: G.
        size: B.
        revisits: may an action be taken again? In a continuous space it always may.

    Raises:
        ValueError: more glimpses than actions, and no action may be taken again.
    """

    def __init__(self, policy: Policy, space: Space, glimpses: int, size: int, *, revisits: bool = True):
        # How many actions there are, if each may be taken once only; else None.
        self._once = space.actions if isinstance(space, GridSpace) and not revisits else None
        if self._once is not None and glimpses > self._once:
            raise ValueError(f"{glimpses} glimpses cannot be at different ones of {self._once} locations")
        self.policy, self.space, self.glimpses = policy, space, glimpses
        self._scored: Any = None
        self._flatten: Callable[[Tensor], Tensor] | None = None
        super().__init__(torch.Size([size]), torch.Size([glimpses]) + space.event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Glimpses":
        new = copy(self)
        new._batch_shape, new._scored = torch.Size(batch_shape), None
        return new

    def flattened(self, flatten: Callable[[Tensor], Tensor]) -> "Glimpses":
        """The same glimpses with each conditional distribution made flatter; they have no gradient.

        `flatten` maps log-probabilities (..., A) to logits; a continuous space has none.
        """
        if self.space.event_shape:
            raise NotImplementedError("is in a continuous space, which has no probabilities to flatten")
        new = copy(self)
        new._flatten, new._scored = flatten, None
        return new

    @property
    def support(self) -> Any:
        discrete = not self.space.event_shape
        each = constraints.nonnegative_integer if discrete else constraints.real
        return constraints.independent(each, len(self.event_shape))

    @property
    def base_dist(self) -> Any:
        """The conditional distributions of the glimpses that were scored last; before any, a `Unit`."""
        if self._scored is None:
            return dist.Unit(torch.zeros(self.batch_shape + self.event_shape[:1]))
        return self._scored

    def sample(self, sample_shape: Any = ()) -> Tensor:
        rows = torch.Size(sample_shape) + self.batch_shape
        state, last, taken, locations, parameters = self.policy.start(rows, self.glimpses), None, None, [], []
        for _ in range(self.glimpses):
            of_next, state = self.policy.step(state, last)  # with gradients, for when they are scored
            with torch.no_grad():
                last = self._distribution(of_next, taken).expand(rows).sample()
                taken = self._taken(last, taken)
            locations.append(last)
            parameters.append(of_next)
        value = torch.stack(locations, -1 - len(self.space.event_shape))
        self.policy.keep(value, [each.expand(*rows, -1) for each in parameters], state)
        return value

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every glimpse given those before it, (..., B, G), in nats."""
        with torch.set_grad_enabled(self._flatten is None and torch.is_grad_enabled()):
            self._scored = self._distribution(self.policy.parameters(value), self._taken_before(value))
            log_prob: Tensor = self._scored.log_prob(value)
        return log_prob

    def _distribution(self, parameters: Tensor, taken: Tensor | None) -> Any:
        location = self.space.distribution(parameters, taken)
        return location if self._flatten is None else Categorical(logits=self._flatten(location.logits))

    # The actions taken so far, (..., A) bool, and one more (...), where none is taken again; else None.
    def _taken(self, value: Tensor, before: Tensor | None) -> Tensor | None:
        if self._once is None:
            return None
        if before is None:
            before = torch.zeros(*value.shape, self._once, dtype=torch.bool, device=value.device)
        return before.scatter(-1, value.unsqueeze(-1), True)

    # The actions that each of (..., G) may not take any more, (..., G, A) bool.
    def _taken_before(self, value: Tensor) -> Tensor | None:
        if self._once is None:
            return None
        number = torch.arange(self.glimpses, device=value.device)
        never = torch.full((*value.shape[:-1], self._once), self.glimpses, device=value.device)
        first = never.scatter_reduce(-1, value, number.expand(value.shape), "amin")  # which glimpse took it
        return first.unsqueeze(-2) < number.unsqueeze(-1)
