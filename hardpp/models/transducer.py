"""Online hard alignment in transducer form: a decision depends on the frames and tokens so far, not on the
path.

    decision[t] ~ Bernoulli(emission(h))                      # 1: emit a token, 0: consume the frame
    token[o]    ~ Categorical(readout(h))                     # where decision t emits the o-th token
    h           = joint(frames[i], tokens[o])                 # i frames consumed, o tokens emitted before t

The sites are those of `hardpp.models.online_alignment`. Paths that have consumed and emitted equally much
have the same future, so the sum over all paths is a recursion over the grid of i and o, and guides can be
compared with it. It is a recurrent neural network transducer that decides on the blank first and on the token
then.

Source: Graves (2012), Sequence Transduction with Recurrent Neural Networks; the factorised blank is that of
Variani, Rybach, Allauzen and Riley (2020), Hybrid Autoregressive Transducer.
Shapes: B data, N decisions, S frames, T tokens, F features of a frame, H of the joint, V symbols, R rows of
decoding; ... = dims inference adds on the left.
"""

from typing import NamedTuple

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.decisions import GridDecisions
from hardpp.distributions.emissions import GridEmissions
from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.nn.recurrent import Cells, StepwiseLSTM, choose, select
from hardpp.ops.lattice_grid import Grid
from hardpp.types import SequenceBatch


class TransducerState(NamedTuple):
    """The state of decoding between decisions; every part has R rows."""

    cells: Cells  # of the recurrence over tokens
    tokens: Tensor  # (R, .) features of the tokens emitted so far

    def select(self, rows: Tensor) -> "TransducerState":
        """The same state for other rows, (R',) int64."""
        return TransducerState(select(self.cells, rows), self.tokens[rows])


class TransducerAlignment(PyroModule):
    """p(tokens, decisions | frames); its parts are given, not built.

    To decode, `read` the frames; then for every decision `step` at the current frame, decide, and `follow`
    the decision. If `frames` is a `hardpp.nn.recurrent.StepwiseLSTM` it can also read frames one by one,
    with its own `start` and `step` and the same result.

    Args:
        frames: frames (B, S, F) and a right-padded mask (B, S) -> (B, S, .); the model is online if this
            network reads forwards only.
        embedding: symbols (...) -> (..., E).
        tokens: a recurrence over E inputs.
        joint: features of frames and of tokens (they broadcast) -> (..., H).
        emission: (..., H) -> (..., 1), the logit of emitting.
        readout: a linear layer, (..., H) -> logits (..., V).
        dwell: does an emission stay at its frame?
        boundary: the symbol before the first token, and the end mark.
    """

    max_plate_nesting = 1  # utterances
    tokens: StepwiseLSTM

    def __init__(
        self,
        frames: nn.Module,
        embedding: nn.Module,
        tokens: StepwiseLSTM,
        joint: nn.Module,
        emission: nn.Module,
        readout: nn.Linear,
        *,
        dwell: bool = True,
        boundary: int = 0,
    ):
        super().__init__()
        self.frames, self.embedding, self.tokens = frames, embedding, tokens
        self.joint, self.emission, self.readout = joint, emission, readout
        self.dwell, self.boundary = dwell, boundary

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the program; returns the decisions, (..., B, N)."""
        grid = Grid.of(batch.source_mask, batch.target_mask, self.dwell)
        frames = self.read(batch.source, batch.source_mask)  # (B, S + 1, .)
        tokens = self.tokens(self.embedding(pad(batch.target, (1, 0), value=self.boundary)))  # (B, T + 1, .)
        joint = self.joint(frames.unsqueeze(2), tokens.unsqueeze(1))  # (B, S + 1, T + 1, H)
        symbols = LinearCategorical(joint[:, :, :-1], self.readout.weight, self.readout.bias)
        with sites.utterances(batch.size, str(frames.device)):
            table = self.emission(joint).squeeze(-1)
            decisions = pyro.sample(sites.DECISIONS, GridDecisions(grid, table))
            pyro.sample(sites.SYMBOL, GridEmissions(grid, decisions, symbols), obs=batch.target)
        return decisions

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """Features by the number of frames consumed, (B, S + 1, .), of frames (B, S, F).

        After the last frame a frame of zeros, which marks the end, is read.
        """
        frames = pad(source.where(mask.unsqueeze(-1), source.new_zeros(())), (0, 0, 0, 1))
        return self.frames(frames, pad(mask, (1, 0), value=True))

    def start(self, rows: int) -> TransducerState:
        """The state of R rows before the first decision."""
        boundary = torch.full((rows,), self.boundary, device=next(self.parameters()).device)
        tokens, cells = self.tokens.step(self.embedding(boundary), self.tokens.start(torch.Size([rows])))
        return TransducerState(cells, tokens)

    def step(self, frame: Tensor, state: TransducerState) -> tuple[Tensor, Tensor, TransducerState]:
        """At frames (R, .) of `read`: logits of emitting (R,) and of tokens (R, V), and the next state."""
        joint = self.joint(frame, state.tokens)
        return self.emission(joint).squeeze(-1), self.readout(joint), state

    def follow(self, state: TransducerState, emits: Tensor, token: Tensor) -> TransducerState:
        """The state after decisions (R,) bool; tokens (R,) int64 are read where one is emitted."""
        tokens, cells = self.tokens.step(self.embedding(token), state.cells)
        tokens = torch.where(emits.unsqueeze(-1), tokens, state.tokens)
        return TransducerState(choose(emits, cells, state.cells), tokens)
