"""The smoothed posterior of a hidden Markov model as guide; nothing in it is trained.

    q(alignment[b, t] | source, target) = smoothed[b, t]

In a model with the decoder of `hardpp.nn.chain_decoder` the exact posterior of a step depends on the symbols
up to that step only. The hidden Markov model with the same likelihood has a posterior that depends on all
symbols; this guide draws from its marginals, which give much better word alignments.

Source: forward-backward smoothing, `hardpp.ops.chain`.
Shapes: B data, S source positions, T steps.
"""

from typing import Protocol

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.types import SequenceBatch


class Smoothing(Protocol):
    """A decoder with smoothed posteriors of the alignment."""

    def smoothed(
        self, target: Tensor, target_mask: Tensor, memory: Tensor, mask: Tensor, boundary: int
    ) -> Tensor:
        """Log-probabilities (B, T, S) of each step's position, given the whole target."""


class SmoothedAlignment(PyroModule):
    """alignment[b, t] ~ Categorical(smoothed[b, t]); the networks are the model's, without gradient.

    Args:
        embedding: source symbols (B, S) -> (B, S, E).
        encoder: embedded source and its mask -> memory (B, S, M).
        decoder: the model's.
        boundary: the symbol that stands before the first one.
    """

    max_plate_nesting = 2  # data, steps
    decoder: Smoothing

    def __init__(self, embedding: nn.Module, encoder: nn.Module, decoder: Smoothing, boundary: int = 0):
        super().__init__()
        self.embedding, self.encoder, self.decoder = embedding, encoder, decoder
        self.boundary = boundary

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the alignments, (..., B, T)."""
        memory = self.encoder(self.embedding(batch.source), batch.source_mask)  # (B, S, M)
        parts = batch.target, batch.target_mask, memory, batch.source_mask
        scores = self.decoder.smoothed(*parts, self.boundary).detach()  # (B, T, S)
        with sites.output_steps(batch.target_mask):
            return pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))
