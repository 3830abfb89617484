"""Latent alignment: every output symbol attends to exactly one source position (hard attention).

    alignment[b, t] ~ Categorical(scores(query[b, t], memory[b]))                    # 0 .. S-1
    symbol[b, t]    ~ Categorical(readout(memory[b, alignment[b, t]], query[b, t]))  # 0 .. V-1

`query[b, t]` reads the symbols strictly before t and, by input feeding, the expected contexts of the steps
before t, never the sampled ones. Given the target the alignments are therefore independent, and summing out
all of them costs O(T S), not O(S^T).

Source: Deng, Kim, Chiu, Guo and Rush (2018), Latent Alignment and Variational Attention.
Shapes: B data, S source positions, T steps, M memory features, Q query features, V symbols;
... = dims inference adds on the left.
"""

from typing import Any, NamedTuple, Protocol

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.nn.attention import attend
from hardpp.types import SequenceBatch


class Source(NamedTuple):
    """An encoded source, computed once and read by every step of decoding."""

    memory: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, .)
    values: Tensor  # (B, S, .)
    mask: Tensor  # (B, S) bool

    def select(self, rows: Tensor) -> "Source":
        """The same sources for other rows, (R,) int64."""
        return Source(*(each[rows] for each in self))


class Decoder(Protocol):
    """Reads the symbols before a step and scores the source positions; states are its own."""

    @property
    def scorer(self) -> Any: ...  # with a method keys(memory)

    @property
    def embedding(self) -> nn.Module: ...  # of previous symbols

    def start(self, memory: Tensor) -> Any:
        """The state before the first symbol."""

    def step(
        self, embedded: Tensor, memory: Tensor, keys: Tensor, mask: Tensor, state: Any
    ) -> tuple[Tensor, Tensor, Any]:
        """One symbol further: query (B, Q), scores (B, S), next state."""

    def __call__(self, previous: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """All steps of known previous symbols (B, T): queries (B, T, Q) and scores (B, T, S)."""


class Features(Protocol):
    """A readout whose logits are linear in features."""

    @property
    def symbols(self) -> Any: ...  # weight (V, H) and bias (V,)

    def values(self, memory: Tensor) -> Tensor:
        """What the features need of a memory (B, S, M): (B, S, .)."""

    def features(self, value: Tensor, query: Tensor) -> Tensor:
        """(..., H) of attended values (..., .) and query (..., Q)."""

    def logits(self, value: Tensor, query: Tensor) -> Tensor:
        """(..., V), likewise."""

    def __call__(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended memory (..., M) and query (..., Q)."""


class LatentAlignment(PyroModule):
    """p(symbol, alignment | source); its parts are given, not built.

    Args:
        embedding: source symbols (B, S) -> (B, S, E).
        encoder: embedded source and its mask -> memory (B, S, M).
        decoder: previous symbols, memory and mask -> queries (B, T, Q) and scores (B, T, S).
        readout: memory (..., M) and query (..., Q) -> values, features (..., H) and logits (..., V).
        boundary: the symbol that stands before the first one and ends every target.
    """

    max_plate_nesting = 2  # data, steps
    latent = sites.ALIGNMENT  # the name of the latent site
    decoder: Decoder
    readout: Features

    def __init__(
        self, embedding: nn.Module, encoder: nn.Module, decoder: Decoder, readout: Features, boundary: int = 0
    ):
        super().__init__()
        self.embedding, self.encoder, self.decoder, self.readout = embedding, encoder, decoder, readout
        self.boundary = boundary

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the program; returns the alignments, (..., B, T)."""
        memory = self.encoder(self.embedding(batch.source), batch.source_mask)  # (B, S, M)
        previous = nn.functional.pad(batch.target[:, :-1], (1, 0), value=self.boundary)  # (B, T)
        query, scores = self.decoder(previous, memory, batch.source_mask)  # (B, T, Q), (B, T, S)
        readout = self.readout  # Pyro announces the parameters of a module each time it is asked for
        values, last = readout.values(memory), readout.symbols  # (B, S, .)
        with sites.output_steps(batch.target_mask):
            alignment = pyro.sample(self.latent, Categorical(logits=scores))
            features = readout.features(attend(values, alignment), query)  # (..., B, T, H)
            pyro.sample(sites.SYMBOL, LinearCategorical(features, last.weight, last.bias), obs=batch.target)
        return alignment

    def read(self, source: Tensor, mask: Tensor) -> tuple[Source, Any]:
        """Encodes sources (B, S) for decoding: what all steps read, and the state before the first."""
        memory = self.encoder(self.embedding(source), mask)
        keys, values = self.decoder.scorer.keys(memory), self.readout.values(memory)
        return Source(memory, keys, values, mask), self.decoder.start(memory)

    def step(self, source: Source, state: Any, previous: Tensor) -> tuple[Tensor, Tensor, Any]:
        """After symbols (B,): query (B, Q), the prior's scores of positions (B, S), and the next state."""
        embedded = self.decoder.embedding(previous)
        return self.decoder.step(embedded, source.memory, source.keys, source.mask, state)
