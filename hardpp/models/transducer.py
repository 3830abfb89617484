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
from hardpp.models.memory_needed import check_memory
from hardpp.nn.recurrent import Cells, StepwiseLSTM, choose, select
from hardpp.ops.lattice_blocks import PathBlocks
from hardpp.ops.lattice_grid import Grid, decision_log_probs
from hardpp.ops.precision import at_least_single
from hardpp.types import SequenceBatch

_SMALLER = "shorter recordings, a smaller training.batch_size, a larger data.stacked, or network.form=ctc"
_AT_ONCE = 100_000  # pairs of frame and token whose features are in memory together


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
        pairs = batch.size * (grid.S + 1) * (grid.T + 1)
        what = f"{batch.size} recordings of up to {grid.S:,} frames and {grid.T:,} tokens"
        check_memory(12 * pairs * self.readout.in_features, batch.source.device, what, _SMALLER)
        frames = self.read(batch.source, batch.source_mask)  # (B, S + 1, .)
        tokens = self.tokens(self.embedding(pad(batch.target, (1, 0), value=self.boundary)))  # (B, T + 1, .)
        joint = self.joint(frames.unsqueeze(2), tokens.unsqueeze(1))  # (B, S + 1, T + 1, H)
        symbols = LinearCategorical(joint[:, :, :-1], self.readout.weight, self.readout.bias)
        with sites.utterances(batch.size, str(frames.device)):
            table = self.emission(joint).squeeze(-1)
            decisions = pyro.sample(sites.DECISIONS, GridDecisions(grid, table))
            pyro.sample(sites.SYMBOL, GridEmissions(grid, decisions, symbols), obs=batch.target)
        return decisions

    def path_blocks(self, batch: SequenceBatch) -> PathBlocks:
        """All paths of one utterance without padding, for sums in blocks of steps (`hardpp.ops`).

        Its arcs are those that the program's distributions have.
        """
        grid = Grid.of(batch.source_mask, batch.target_mask, self.dwell)
        frames = self.read(batch.source, batch.source_mask)[0]
        tokens = self.tokens(self.embedding(pad(batch.target, (1, 0), value=self.boundary)))[0]
        sides, join = getattr(self.joint, "sides", None), getattr(self.joint, "joined", self.joint)
        frames, tokens = (frames, tokens) if sides is None else sides(frames, tokens)
        emitted = torch.arange(grid.T + 1, device=frames.device)

        def arcs(first: int, last: int) -> Tensor:
            rows = max(1, _AT_ONCE // (grid.T + 1))
            starts = range(first, last, rows)
            return torch.cat([some_arcs(start, min(start + rows, last)) for start in starts])

        def some_arcs(first: int, last: int) -> Tensor:
            step = torch.arange(first, last, device=frames.device)[:, None]
            consumed = step - emitted if self.dwell else step.expand(-1, grid.T + 1)  # (R, T + 1)
            at = consumed.clamp(0, grid.S)
            joint = join(frames[at], tokens)  # (R, T + 1, H)
            may = grid.may(at.unsqueeze(0), emitted, dims=2)
            consume, emit = decision_log_probs(self.emission(joint).squeeze(-1).unsqueeze(0), *may)
            symbols = LinearCategorical(joint[:, :-1], self.readout.weight, self.readout.bias)
            emit = emit[0] + pad(at_least_single(symbols.log_prob(batch.target[0])), (0, 1))
            outside = ((consumed < 0) | (consumed > grid.S)).unsqueeze(-1)
            return torch.stack([consume[0], emit], -1).masked_fill(outside, -torch.inf)

        def emissions(first: int, marginals: Tensor) -> tuple[Tensor, Tensor]:
            step = torch.arange(first, first + len(marginals), device=frames.device)[:, None]
            consumed = step - emitted[:-1] if self.dwell else step.expand(-1, grid.T)
            return marginals[:, :-1, 1], consumed.clamp(0, grid.S - 1)

        return PathBlocks(arcs, emissions, grid.steps, grid.end(at_least_single(frames[0]))[0])

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
