"""Connectionist temporal classification (CTC): every frame emits a token or a blank, independently.

    tokens ~ CTCSequence(readout(frames))

The distribution of the only site sums over all alignments, so every objective is exact and a guide has
nothing to draw. It is the usual baseline for online alignments.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification.
Shapes: B data, S frames, F features of a frame, H hidden features, V symbols.
"""

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.ctc import CTCSequence
from hardpp.models.memory_needed import check_memory
from hardpp.ops.lattice_blocks import PathBlocks
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end, first_frames
from hardpp.ops.precision import log_softmax
from hardpp.types import SequenceBatch

_SMALLER = "shorter recordings, a smaller training.batch_size, or a larger data.stacked"


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
        states, frames = 2 * batch.target.shape[1] + 1, batch.source.shape[1]
        what = f"{batch.size} recordings of up to {frames:,} frames and {batch.target.shape[1]:,} tokens"
        check_memory(100 * batch.size * frames * states, batch.source.device, what, _SMALLER)
        logits = self.read(batch.source, batch.source_mask)
        tokens = CTCSequence(logits, batch.source_mask, batch.target_mask, self.boundary)
        with sites.utterances(batch.size, str(logits.device)):
            pyro.sample(sites.SYMBOL, tokens, obs=batch.target)

    def path_blocks(self, batch: SequenceBatch) -> PathBlocks:
        """All paths of one utterance without padding, for sums in blocks of frames (`hardpp.ops`)."""
        log_probs, target = log_softmax(self.read(batch.source, batch.source_mask)), batch.target[:, :-1]
        states = 2 * target.shape[-1] + 1

        def arcs(first: int, last: int) -> Tensor:
            frames = torch.tensor([last - first], device=target.device)
            return ctc_arcs(log_probs[:, first:last], frames, target, self.boundary)[0]

        def emissions(first: int, marginals: Tensor) -> tuple[Tensor, Tensor]:
            frames = torch.arange(first, first + len(marginals), device=target.device)
            said = first_frames(marginals)
            return said, frames[:, None].expand_as(said)

        end = ctc_end(batch.target_mask.sum(-1) - 1, states, log_probs.dtype)[0]
        return PathBlocks(arcs, emissions, log_probs.shape[1], end)

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, S, V) of every frame, from frames (B, S, F) and their mask."""
        frames = source.where(mask.unsqueeze(-1), source.new_zeros(()))
        return self.readout(self.frames(frames, mask))
