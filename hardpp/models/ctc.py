"""Connectionist temporal classification as a program: every frame says a token or nothing, independently.

    token ~ CTCSequence(readout(frames))

All alignments are summed out inside the one site there is, so every objective is exact and no guide has
anything to draw. What online alignments are measured by.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification.
Shapes: B data, S frames, F features of a frame, H hidden features, V symbols.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.ctc import CTCSequence
from hardpp.types import SequenceBatch


class CTC(PyroModule):
    """p(token | frames), from parts that are given rather than built.

    Args:
        frames: frames (B, S, F) and a right-padded mask (B, S) -> (B, S, H).
        readout: (..., H) -> logits (..., V).
        boundary: the end mark, which is not said and whose symbol is the blank.
    """

    max_plate_nesting = 1  # utterances

    def __init__(self, frames: nn.Module, readout: nn.Module, *, boundary: int = 0):
        super().__init__()
        self.frames, self.readout, self.boundary = frames, readout, boundary

    def forward(self, batch: SequenceBatch) -> None:
        """Runs the program."""
        logits = self.read(batch.source, batch.source_mask)
        said = CTCSequence(logits, batch.source_mask, batch.target_mask, self.boundary)
        with sites.utterances(batch.size, str(logits.device)):
            pyro.sample(sites.SYMBOL, said, obs=batch.target)

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """What every frame says, logits (B, S, V) of frames (B, S, F) and their mask."""
        frames = source.where(mask.unsqueeze(-1), source.new_zeros(()))
        return self.readout(self.frames(frames, mask))
