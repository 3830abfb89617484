"""Reads along a path of decisions: at each step the current frame, the last decision, and a token.

    state[t] = LSTM(frame[consumed before t], decision[t - 1], token[emitted before t])
    logit[t] = w state[t] + pace[consumed before t, emitted before t]

Given the decisions all inputs are known, so one run of the LSTM gives all states of all paths; drawing takes
one step at a time (`hardpp.nn.path_drawing`). Model and guide differ in the features of frames and tokens:
the model's depend on what was read up to now, the guide's may depend on all frames and on the next token.
The pace tells a guide how much is left.

Source: Lawson et al. (2017), section 2.1 and figure 1.
Shapes: B data, N steps, S frames, T tokens, F frame features, E token features, H features; ... = dims
inference adds on the left.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from hardpp.nn.gate_tables import GateTables
from hardpp.nn.path_drawing import draw_path
from hardpp.nn.recurrent import Cells, StepwiseLSTM
from hardpp.ops.lattice_grid import Grid, Path, Sides


class PathReader:
    """Reads one batch along any paths; a `hardpp.distributions.decisions.Decider`.

    Args:
        grid: how many frames and tokens there are.
        frames: (B, S + 1, F), by the number of frames consumed.
        tokens: (B, T + 1, E), by the number of tokens emitted.
        recurrence: of F + 1 + E inputs.
        emission: states (..., H) -> (..., 1), the logit of emitting.
        pace: is added to logits; None for zeros.
    """

    def __init__(
        self,
        grid: Grid,
        frames: Tensor,
        tokens: Tensor,
        recurrence: StepwiseLSTM,
        emission: nn.Module,
        pace: Sides | None = None,
    ):
        self.grid, self.frames, self.tokens = grid, frames, tokens
        self.recurrence, self.emission, self.pace = recurrence, emission, pace
        self.tables = GateTables(frames, tokens, recurrence)
        self._last_states: tuple[Tensor, Tensor] | None = None  # decisions and their states
        self._last_path: tuple[Tensor, Path] | None = None  # decisions and their path
        self._drawn: tuple[Tensor, Tensor] | None = None  # the latest decisions that were drawn, their logits

    def states(self, decisions: Tensor) -> Tensor:
        """The state before each decision, (..., B, N, H); the same tensor of decisions is read once only."""
        if self._last_states is not None and self._last_states[0] is decisions:
            states = self._last_states[1]
            if states.requires_grad or not torch.is_grad_enabled():
                return states
        path = self.path(decisions)
        if self.frames.device.type == "cpu":
            states = self.tables.states(path)
        else:  # a GPU has LSTMs of its own, which are one operation for all steps
            states = self.recurrence(self._inputs(path.last, path.consumed, path.emitted))
        self._last_states = decisions, states
        return states

    def logits(self, decisions: Tensor) -> Tensor:
        if self._drawn is not None and self._drawn[0] is decisions and not torch.is_grad_enabled():
            return self._drawn[1]
        states = self.states(decisions)
        # As exact as drawing has them, so that both are of one distribution.
        with torch.autocast(states.device.type, enabled=False):
            logits = self.emission(states.to(self.frames.dtype)).squeeze(-1)
        if self.pace is None:
            return logits
        path = self.path(decisions)
        return logits + self._pace(path.consumed, path.emitted)

    def path(self, decisions: Tensor) -> Path:
        """The path of decisions (..., B, N); of the same tensor it is found once only."""
        if self._last_path is None or self._last_path[0] is not decisions:
            self._last_path = decisions, self.grid.path(decisions)
        return self._last_path[1]

    def start(self, rows: torch.Size) -> Cells:
        return self.recurrence.start(rows)

    def step(self, state: Cells, last: Tensor, consumed: Tensor, emitted: Tensor) -> tuple[Tensor, Cells]:
        where = [each.unsqueeze(-1) for each in (last, consumed, emitted)]
        features, state = self.recurrence.step(self._inputs(*where).squeeze(-2), state)
        logits = self.emission(features).squeeze(-1)
        return logits if self.pace is None else logits + self._pace(*where[1:]).squeeze(-1), state

    def draw(self, uniform: Tensor) -> Tensor:
        """Whole paths at once; see `hardpp.distributions.decisions.Drawer`."""
        self._drawn = draw_path(self.grid, self.tables, self.emission, self.pace, uniform)
        return self._drawn[0]

    # (..., B, N, F + 1 + E) of indices (..., B, N).
    def _inputs(self, last: Tensor, consumed: Tensor, emitted: Tensor) -> Tensor:
        frames, tokens = _rows(self.frames, consumed), _rows(self.tokens, emitted)
        return torch.cat([frames, last.unsqueeze(-1).to(frames.dtype), tokens.to(frames.dtype)], -1)

    # (..., B, N)
    def _pace(self, consumed: Tensor, emitted: Tensor) -> Tensor:
        assert self.pace is not None
        return _at(self.pace.idle, self.grid.idle(consumed, emitted)) + _at(self.pace.emitted, emitted)


# table[b, index[..., b, n]], (..., B, N, F), by `embedding`, whose gradient is summed without sorting.
def _rows(table: Tensor, index: Tensor) -> Tensor:
    B, length = table.shape[:2]
    offset = torch.arange(B, device=table.device).unsqueeze(-1) * length
    return embedding(index + offset, table.flatten(0, 1))


# values[b, index[..., b, n]], (..., B, N).
def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.expand(*index.shape[:-1], -1).gather(-1, index)
