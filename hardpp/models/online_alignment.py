"""Online hard alignment: each decision either consumes a frame or emits a token.

    decision[t] ~ Bernoulli(emission(state[t]))                       # 1: emit a token, 0: consume the frame
    token[o]    ~ Categorical(readout(state[t]))                      # where decision t emits the o-th token
    state[t]    = LSTM(current frame, decision[t - 1], token before)

The current frame is the first that is not consumed, and zeros after the last. With `dwell` an emission stays
at its frame; without, it consumes it, and no utterance has more tokens than frames. Decisions without an
alternative are forced (`hardpp.ops.lattice_grid`). The state depends on all earlier decisions, so sums over
decisions do not factorise; `hardpp.models.transducer` has the same sites, and there they do.

Source: Lawson, Chiu, Tucker, Raffel, Swersky and Jaitly (2018), Learning Hard Alignments with Variational
Inference, section 2.1; Luo, Chiu, Jaitly and Sutskever (2017), without dwelling.
Shapes: B data, N decisions, S frames, T tokens, F features of a frame, E of a token, H of the state, V
symbols, R rows of decoding; ... = dims inference adds on the left.
"""

from typing import NamedTuple

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.decisions import Decisions
from hardpp.distributions.emissions import Emissions
from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.nn.path_reader import PathReader
from hardpp.nn.recurrent import Cells, StepwiseLSTM, select
from hardpp.ops.lattice_grid import Grid
from hardpp.types import SequenceBatch


class OnlineState(NamedTuple):
    """The state of decoding between decisions; every part has R rows."""

    cells: Cells
    decision: Tensor  # (R,) int64 the last one, 0 before the first
    token: Tensor  # (R,) int64 the last one emitted, the boundary before the first

    def select(self, rows: Tensor) -> "OnlineState":
        """The same state for other rows, (R',) int64."""
        return OnlineState(select(self.cells, rows), self.decision[rows], self.token[rows])


class OnlineAlignment(PyroModule):
    """p(tokens, decisions | frames); its parts are given, not built.

    To decode, `read` the frames; then for every decision `step` at the current frame, decide, and `follow`
    the decision. The state has one size, however long the utterance.

    Args:
        embedding: symbols (...) -> (..., E).
        recurrence: over F + 1 + E inputs, H features.
        emission: (..., H) -> (..., 1), the logit of emitting.
        readout: a linear layer, (..., H) -> logits (..., V).
        dwell: does an emission stay at its frame?
        boundary: the symbol before the first token, and the end mark.
    """

    max_plate_nesting = 1  # utterances
    recurrence: StepwiseLSTM

    def __init__(
        self,
        embedding: nn.Module,
        recurrence: StepwiseLSTM,
        emission: nn.Module,
        readout: nn.Linear,
        *,
        dwell: bool = True,
        boundary: int = 0,
    ):
        super().__init__()
        self.embedding, self.recurrence = embedding, recurrence
        self.emission, self.readout = emission, readout
        self.dwell, self.boundary = dwell, boundary

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the program; returns the decisions, (..., B, N)."""
        grid = Grid.of(batch.source_mask, batch.target_mask, self.dwell)
        frames = self.read(batch.source, batch.source_mask)
        tokens = self.embedding(pad(batch.target, (1, 0), value=self.boundary))  # (B, T + 1, E)
        reader = PathReader(grid, frames, tokens, self.recurrence, self.emission)
        with sites.utterances(batch.size, str(frames.device)):
            decisions = pyro.sample(sites.DECISIONS, Decisions(grid, reader))
            at = grid.emission_steps(decisions).clamp(max=grid.steps - 1).unsqueeze(-1)  # (..., B, T, 1)
            states = reader.states(decisions)
            states = states.gather(-2, at.expand(*at.shape[:-1], states.shape[-1]))
            symbols = LinearCategorical(states, self.readout.weight, self.readout.bias)
            pyro.sample(sites.SYMBOL, Emissions(grid, decisions, symbols), obs=batch.target)
        return decisions

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """The current frame by the number of frames consumed, (B, S + 1, F), of frames (B, S, F)."""
        return pad(source.where(mask.unsqueeze(-1), source.new_zeros(())), (0, 0, 0, 1))

    def start(self, rows: int) -> OnlineState:
        """The state of R rows before the first decision."""
        zero = torch.zeros(rows, dtype=torch.int64, device=next(self.parameters()).device)
        return OnlineState(self.recurrence.start(torch.Size([rows])), zero, zero + self.boundary)

    def step(self, frame: Tensor, state: OnlineState) -> tuple[Tensor, Tensor, OnlineState]:
        """Reads frames (R, F): logits of emitting (R,) and of tokens (R, V), and the state to `follow`."""
        last = state.decision.unsqueeze(-1).to(frame.dtype)
        inputs = torch.cat([frame, last, self.embedding(state.token).to(frame.dtype)], -1)
        features, cells = self.recurrence.step(inputs, state.cells)
        return self.emission(features).squeeze(-1), self.readout(features), state._replace(cells=cells)

    def follow(self, state: OnlineState, emits: Tensor, token: Tensor) -> OnlineState:
        """The state after decisions (R,) bool; tokens (R,) int64 are read where one is emitted."""
        return state._replace(decision=emits.long(), token=torch.where(emits, token, state.token))
