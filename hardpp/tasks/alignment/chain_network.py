"""The networks of word alignment: words by themselves, moves from one to the next, and a smoothed guide."""

from typing import NamedTuple

import torch
from torch import nn

from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.smoothed_alignment import SmoothedAlignment
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.chain_decoder import ChainDecoder
from hardpp.nn.factors import MARK, FactoredEmbedding, FactoredLinear
from hardpp.nn.lexical import LexicalEncoder, LexicalReadout
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.alignment.network import AlignmentNetwork


class ChainParts(NamedTuple):
    """A model whose positions follow one another, and what its guide shares with it."""

    model: LatentAlignment
    embedding: nn.Module
    encoder: LexicalEncoder
    decoder: ChainDecoder


def chain_parts(network: AlignmentNetwork, description: PairsDescription) -> ChainParts:
    """Makes the model."""
    source, target = description.source_vocabulary, description.target_vocabulary
    embedding = nn.Sequential(
        FactoredEmbedding(source, network.embedding), nn.Dropout(network.embedding_dropout)
    )
    encoder = LexicalEncoder(network.embedding, network.decoder, network.dropout)
    factored = any(MARK in symbol.strip(MARK) for symbol in target)
    readout = LexicalReadout(
        FactoredLinear(network.decoder, target) if factored else nn.Linear(network.decoder, len(target))
    )
    readout.start(torch.tensor(description.target_counts, dtype=torch.float32))
    decoder = ChainDecoder(
        len(target), readout, network.decoder, network.reach, network.history, network.symbol_dropout
    )
    return ChainParts(
        LatentAlignment(embedding, encoder, decoder, readout, BOUNDARY), embedding, encoder, decoder
    )


def smoothed_guide(parts: object) -> nn.Module:
    """The guide that knows the whole target, without parameters of its own.

    Raises:
        UsageError: the parts are those of attention.
    """
    if not isinstance(parts, ChainParts):
        raise UsageError("guide 'smoothed' is that of a chain", "add --set network.alignment=chain")
    return SmoothedAlignment(parts.embedding, parts.encoder, parts.decoder, BOUNDARY)
