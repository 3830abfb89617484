"""Connectionist temporal classification (CTC): every frame emits a token or a blank, independently.

    tokens ~ CTCSequence(readout(frames))

The distribution of the only site sums over all alignments, so every objective is exact and a guide has
nothing to draw. It is the usual baseline for online alignments.

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
    """p(tokens | frames); its parts are given, not built.

    Args:
        frames: frames (B, S, F) and a right-padded mask (B, S) -> (B, S, H).
        readout: (..., H) -> logits (..., V).
        boundary: the end mark. No frame emits it; its symbol serves as the blank.
    """

    max_plate_nesting = 1  # utterances

    def __init__(self, frames: nn.Module, readout: nn.Module, *, boundary: int = 0):
        super().__init__()
        self.frames, self.readout, self.boundary = frames, readout, boundary

    def forward(self, batch: SequenceBatch) -> None:
        """Runs the program."""
        logits = self.read(batch.source, batch.source_mask)
        tokens = CTCSequence(logits, batch.source_mask, batch.target_mask, self.boundary)
        with sites.utterances(batch.size, str(logits.device)):
            pyro.sample(sites.SYMBOL, tokens, obs=batch.target)

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, S, V) of every frame, from frames (B, S, F) and their mask."""
        frames = source.where(mask.unsqueeze(-1), source.new_zeros(()))
        return self.readout(self.frames(frames, mask))
