"""The networks of alignment models, by attention or as a chain, and the options of theirs and the guides'."""

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Section
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import AdditiveScorer, BilinearScorer, Scorer, SparseScorer
from hardpp.nn.chain_decoder import ChainDecoder
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.dropout import Dropout
from hardpp.nn.factors import MARK, FactoredEmbedding, FactoredLinear
from hardpp.nn.lexical import LexicalEncoder, LexicalReadout
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.tasks.alignment.description import PairsDescription

Transform = Literal["softmax", "sparsemax", "entmax15"]  # from scores to probabilities


class AlignmentNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    embedding: int = Field(128, ge=1, le=WIDEST, description="features of a symbol")
    encoder: int = Field(128, ge=1, le=WIDEST, description="features of each direction of the source reader")
    encoder_layers: int = Field(1, ge=1, le=100, description="of the encoder")
    skip: bool = Field(False, description="attended positions also hold the features of their own symbol")
    decoder: int = Field(320, ge=1, le=WIDEST, description="features of the decoder and the readout")
    decoder_layers: int = Field(1, ge=1, le=100, description="of the decoder")
    scorer: Literal["bilinear", "additive"] = Field("bilinear", description="of the prior over positions")
    prior_transform: Transform = Field(
        "softmax", description="of the prior's scores; the others are sparse, and take no guide but prior"
    )
    guide: int = Field(64, ge=1, le=WIDEST, description="features of each direction of the guide's readers")
    guide_transform: Transform = Field(
        "softmax",
        description="of the guide's scores; sparse ones are summed by inference.top=support",
    )
    guide_components: int = Field(2, ge=2, le=1000, description="of the guide 'mixture'")
    guide_temperature: float = Field(
        1.0, ge=1e-3, le=1000, description="of the guide 'tempered', at the start"
    )
    guide_steps: int = Field(3, ge=0, le=1000, description="refinements of the guide 'refined' for each pair")
    dropout: float = Field(0.45, ge=0, lt=1, description="of the model's hidden features")
    embedding_dropout: float = Field(0.2, ge=0, lt=1, description="of the features of symbols")
    symbol_dropout: float = Field(0.1, ge=0, lt=1, description="of whole previous symbols")
    guide_dropout: float = Field(0.1, ge=0, lt=1, description="of the guide's hidden features")
    alignment: Literal["attention", "chain"] = Field(
        "attention", description="chain: words by themselves, and moves from one to the next (word alignment)"
    )
    reach: int = Field(
        10,
        ge=1,
        le=10_000,
        description="positions that moves of a chain, or of a guide like it, tell apart, each way",
    )
    history: int = Field(
        32, ge=1, le=WIDEST, description="features of a previous symbol that moves of a chain depend on"
    )


class AlignmentParts(NamedTuple):
    """A model, and what its guides are made from."""

    model: LatentAlignment
    network: AlignmentNetwork
    symbols: tuple[int, int]  # of source and target
    embeddings: tuple[nn.Embedding, ...] = ()  # of source and target, by attention: the guide shares them


def alignment_parts(network: AlignmentNetwork, description: PairsDescription) -> AlignmentParts:
    """Makes the model, by attention or as a chain.

    Raises:
        UsageError: the model is a chain with a sparse prior.
    """
    symbols = len(description.source_vocabulary), len(description.target_vocabulary)
    if network.alignment == "chain":
        if network.prior_transform != "softmax":
            raise UsageError("a chain has no sparse prior", "leave network.prior_transform at softmax")
        return AlignmentParts(_chain(network, description), network, symbols)
    source, target = (nn.Embedding(size, network.embedding) for size in symbols)
    encoder = BidirectionalLSTM(
        network.embedding, network.encoder, network.encoder_layers, network.dropout, skip=network.skip
    )
    memory = encoder.features
    scorer: Scorer = (
        BilinearScorer(network.decoder, memory)
        if network.scorer == "bilinear"
        else AdditiveScorer(network.decoder, memory, network.decoder)
    )
    scorer = transformed(scorer, network.prior_transform)
    # Losing a whole previous symbol now and then keeps the decoder from trusting its own past alone.
    previous = nn.Sequential(
        target, Dropout(network.symbol_dropout, rows=True), Dropout(network.embedding_dropout)
    )
    decoder = InputFeedingDecoder(
        previous, network.embedding, scorer, memory, network.decoder, network.decoder_layers, network.dropout
    )
    readout = Readout(memory, network.decoder, network.decoder, target.num_embeddings, network.dropout)
    read = nn.Sequential(source, Dropout(network.embedding_dropout))
    model = LatentAlignment(read, encoder, decoder, readout, BOUNDARY)
    return AlignmentParts(model, network, symbols, (source, target))


def transformed(scorer: Scorer, transform: Transform) -> Scorer:
    """A scorer, the softmax of whose scores is the transform."""
    return scorer if transform == "softmax" else SparseScorer(scorer, transform)


# Words by themselves, and moves from one to the next.
def _chain(network: AlignmentNetwork, description: PairsDescription) -> LatentAlignment:
    source, target = description.source_vocabulary, description.target_vocabulary
    embedding = nn.Sequential(
        FactoredEmbedding(source, network.embedding), Dropout(network.embedding_dropout)
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
    return LatentAlignment(embedding, encoder, decoder, readout, BOUNDARY)
