"""All decisions of an utterance as one draw; each is to emit the next token or to consume the frame.

    b[t] ~ Bernoulli(sigmoid(logit(b[0 .. t-1])))   where both decisions are possible; else it is forced

with exactly as many emissions and consumptions as the grid has tokens and frames (`hardpp.ops.lattice_grid`).
Forced decisions have log-probability 0 and no gradient, so probabilities of the legal paths sum to one.

A logit may depend on all decisions before it, so drawing is a loop over steps. Scoring given decisions is
not: all that the logits depend on is known at once. A `Decider` computes the logits both ways. If they depend
only on the numbers of frames consumed and tokens emitted (`GridDecisions`), paths meet again and sums over
all of them are cheap (`hardpp.ops.lattice`). Objectives credit each step by itself, as in
`hardpp.distributions.step_independent`, though the steps are not independent.

Source: Lawson et al. (2017), section 2.1.
Shapes: B data, N steps, S frames, T tokens; ... = dims inference adds on the left.
"""

from copy import copy
from typing import Any, Protocol, runtime_checkable

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.step_independent import DependentSteps
from hardpp.ops.lattice_grid import Grid, decision_log_probs


class Decider(Protocol):
    """Computes the logits of emitting, rather than consuming, from the decisions before."""

    def logits(self, decisions: Tensor) -> Tensor:
        """The logits of every step (..., B, N), given all decisions (..., B, N), int64."""

    def start(self, rows: torch.Size) -> Any:
        """The state before the first decision, for paths (..., B)."""

    def step(self, state: Any, last: Tensor, consumed: Tensor, emitted: Tensor) -> tuple[Tensor, Any]:
        """The logits (..., B) of the next decision, and the next state.

        All int64 (..., B): the last decision, 0 before the first, and the frames consumed and tokens emitted.
        """


@runtime_checkable
class Drawer(Protocol):
    """A decider that has a faster way to draw whole paths."""

    def draw(self, uniform: Tensor) -> Tensor:
        """What the loop over its steps would give, (..., B, N), of numbers from 0 to 1, (N, ..., B).

        A step emits where its number is below the probability of that, unless it is forced.
        """


class Decisions(DependentSteps):
    """Decisions (..., B, N), int64: 1 emits, 0 consumes, and 0 after the end."""

    def __init__(self, grid: Grid, decider: Decider):
        self.grid, self.decider = grid, decider
        self._scored: Tensor | None = None
        super().__init__(grid.frames.shape, torch.Size([grid.steps]))

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Decisions":
        new = copy(self)
        new._batch_shape, new._scored = torch.Size(batch_shape), None
        return new

    @property
    def support(self) -> Any:
        return constraints.independent(constraints.boolean, 1)

    @property
    def base_dist(self) -> Any:
        """The conditional distributions of the steps that were scored last; before any, a `Unit`."""
        if self._scored is None:
            return dist.Unit(torch.zeros(self.batch_shape + self.event_shape))
        return Categorical(logits=self._scored).mask(self.step_mask())

    def step_mask(self) -> Tensor:
        """The steps before the end, (B, N)."""
        return torch.arange(self.grid.steps, device=self.grid.frames.device) < self.grid.length.unsqueeze(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        rows, grid = torch.Size(sample_shape) + self.batch_shape, self.grid
        device = grid.frames.device
        uniform = torch.rand(
            (grid.steps, *rows), dtype=None if device.type == "mps" else torch.float64, device=device
        )
        if isinstance(self.decider, Drawer):
            return self.decider.draw(uniform)
        none = torch.zeros(rows, dtype=torch.int64, device=device)
        last, consumed, emitted, state = none, none, none, self.decider.start(rows)
        decisions = []
        for threshold in uniform:
            logits, state = self.decider.step(state, last, consumed, emitted)
            may_emit, may_consume = grid.may(consumed, emitted)
            emits = may_emit & ((threshold < logits.sigmoid()) | ~may_consume)
            last = emits.long()
            emitted = emitted + last
            leaves = may_consume & ~emits if grid.dwell else may_emit | may_consume
            consumed = consumed + leaves.long()
            decisions.append(last)
        return torch.stack(decisions, -1)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every step given those before, (..., B, N), in nats; -inf if illegal."""
        path = self.grid.path(value)
        both = decision_log_probs(self.decider.logits(value), path.may_emit, path.may_consume)
        consume, emit = (each.masked_fill(~path.within, 0.0) for each in both)
        self._scored = torch.stack(
            [consume.detach(), emit.detach().masked_fill(~path.within, -torch.inf)], -1
        )
        return torch.where(value.bool(), emit, consume)


class GridDecisions(Decisions):
    """Decisions whose logits depend only on the numbers of frames consumed and tokens emitted.

    The table is the logits (B, S + 1, T + 1) by these numbers.
    """

    def __init__(self, grid: Grid, table: Tensor):
        super().__init__(grid, _Table(grid, table))
        self.table = table

    def arcs(self) -> Tensor:
        """The log-probabilities of decisions as arcs of a lattice, (B, N, T + 1, 2)."""
        return self.grid.arcs(self.table)

    def end(self) -> Tensor:
        """The weights of ending in each state of the lattice, (B, T + 1)."""
        return self.grid.end(self.table)


class _Table:
    def __init__(self, grid: Grid, table: Tensor):
        self.grid, self.table = grid, table

    def logits(self, decisions: Tensor) -> Tensor:
        path = self.grid.path(decisions)
        return self.grid.at(self.table, path.consumed, path.emitted)

    def start(self, rows: torch.Size) -> None:
        return None

    def step(self, state: None, last: Tensor, consumed: Tensor, emitted: Tensor) -> tuple[Tensor, None]:
        here = self.grid.at(self.table, consumed.unsqueeze(-1), emitted.unsqueeze(-1))
        return here.squeeze(-1), None
