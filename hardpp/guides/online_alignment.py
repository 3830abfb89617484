"""The guide for online alignment that knows all frames and the next token: q(decisions | frames, tokens).

    decision[t] ~ Bernoulli(emission(LSTM(current reader(frames), decision[t - 1], next token)) + pace)

It draws the same decisions as the models of online alignment, and forced ones where theirs are forced. The
exact posterior depends on all of the tokens, but those further ahead were found not to help. For long targets
it helps to know how much is left: with an even pace an untrained guide draws all paths with equal
probability; without one it emits at a constant rate, and the remaining tokens at the end.

Source: Lawson et al. (2018), section 2.2.
Shapes: B data, N decisions, S frames, T tokens, F features of a frame, E of a token; ... = dims inference
adds on the left.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.decisions import Decisions
from hardpp.nn.path_reader import PathReader
from hardpp.nn.recurrent import StepwiseLSTM
from hardpp.ops.lattice_grid import Grid
from hardpp.types import SequenceBatch


class TargetInformed(PyroModule):
    """Decisions as above; the parts are given, not built.

    Args:
        reader: frames (B, S, F) and their right-padded mask -> (B, S, .), from both ends.
        embedding: symbols (...) -> (..., E); its own, or the model's.
        recurrence: over the reader's features, the last decision and E features of a token.
        emission: states (..., H) -> (..., 1), the logit of emitting.
        even: add an even pace (`hardpp.ops.lattice_grid.Grid.even`)? Otherwise the pace is 0.
        dwell: as the model's.
        boundary: the next token after the last one.
    """

    max_plate_nesting = 1  # utterances
    recurrence: StepwiseLSTM

    def __init__(
        self,
        reader: nn.Module,
        embedding: nn.Module,
        recurrence: StepwiseLSTM,
        emission: nn.Module,
        *,
        even: bool = True,
        dwell: bool = True,
        boundary: int = 0,
    ):
        super().__init__()
        self.reader, self.embedding, self.recurrence, self.emission = reader, embedding, recurrence, emission
        self.even, self.dwell, self.boundary = even, dwell, boundary

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the decisions, (..., B, N)."""
        grid = Grid.of(batch.source_mask, batch.target_mask, self.dwell)
        mask = batch.source_mask.unsqueeze(-1)
        states = self.reader(batch.source.where(mask, batch.source.new_zeros(())), batch.source_mask)
        frames = pad(states.where(mask, states.new_zeros(())), (0, 0, 0, 1))  # (B, S + 1, .)
        tokens = self.embedding(pad(batch.target, (0, 1), value=self.boundary))  # (B, T + 1, E)
        pace = grid.even(batch.source) if self.even else None
        reader = PathReader(grid, frames, tokens, self.recurrence, self.emission, pace)
        with sites.utterances(batch.size, str(frames.device)):
            return pyro.sample(sites.DECISIONS, Decisions(grid, reader))
