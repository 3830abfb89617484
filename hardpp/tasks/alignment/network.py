"""The networks of alignment models by attention, their guide, and the options of all of them."""

from typing import Literal, NamedTuple

from pydantic import Field
from torch import nn

from hardpp.config import Section
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import AdditiveScorer, BilinearScorer, Scorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.tasks.alignment.description import PairsDescription


class AlignmentNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    embedding: int = Field(128, ge=1, description="features of a symbol")
    encoder: int = Field(128, ge=1, description="features of each direction of the source reader")
    encoder_layers: int = Field(1, ge=1, description="of the encoder")
    skip: bool = Field(False, description="attended positions also hold the features of their own symbol")
    decoder: int = Field(320, ge=1, description="features of the decoder and the readout")
    decoder_layers: int = Field(1, ge=1, description="of the decoder")
    scorer: Literal["bilinear", "additive"] = Field("bilinear", description="of the prior over positions")
    guide: int = Field(64, ge=1, description="features of each direction of the guide's readers")
    dropout: float = Field(0.45, ge=0, lt=1, description="of the model's hidden features")
    embedding_dropout: float = Field(0.2, ge=0, lt=1, description="of the features of symbols")
    symbol_dropout: float = Field(0.1, ge=0, lt=1, description="of whole previous symbols")
    guide_dropout: float = Field(0.1, ge=0, lt=1, description="of the guide's hidden features")
    alignment: Literal["attention", "chain"] = Field(
        "attention", description="chain: words by themselves, and moves from one to the next (word alignment)"
    )
    reach: int = Field(10, ge=1, description="positions that moves of a chain tell apart, each way")
    history: int = Field(
        32, ge=1, description="features of a previous symbol that moves of a chain depend on"
    )


class AttentionParts(NamedTuple):
    """A model whose steps are independent given the data, and what its guide shares with it."""

    model: LatentAlignment
    source: nn.Embedding
    target: nn.Embedding
    network: AlignmentNetwork


def attention_parts(network: AlignmentNetwork, description: PairsDescription) -> AttentionParts:
    """Makes the model."""
    source, target = (
        nn.Embedding(len(vocabulary), network.embedding) for vocabulary in description.vocabularies
    )
    encoder = BidirectionalLSTM(
        network.embedding, network.encoder, network.encoder_layers, network.dropout, skip=network.skip
    )
    memory = encoder.features
    scorer: Scorer = (
        BilinearScorer(network.decoder, memory)
        if network.scorer == "bilinear"
        else AdditiveScorer(network.decoder, memory, network.decoder)
    )
    # Losing a whole previous symbol now and then keeps the decoder from trusting its own past alone.
    previous = nn.Sequential(
        target, nn.Dropout1d(network.symbol_dropout), nn.Dropout(network.embedding_dropout)
    )
    decoder = InputFeedingDecoder(
        previous, network.embedding, scorer, memory, network.decoder, network.decoder_layers, network.dropout
    )
    readout = Readout(memory, network.decoder, network.decoder, target.num_embeddings, network.dropout)
    read = nn.Sequential(source, nn.Dropout(network.embedding_dropout))
    model = LatentAlignment(read, encoder, decoder, readout, BOUNDARY)
    return AttentionParts(model, source, target, network)


def stepwise_guide(parts: object) -> nn.Module:
    """The guide that reads the whole source and target; it shares the embeddings of the model.

    Raises:
        UsageError: the parts are those of a chain.
    """
    if not isinstance(parts, AttentionParts):
        raise UsageError("a chain has no guide 'variational'", "give --guide smoothed or prior")
    network = parts.network
    source_reader, target_reader = (
        BidirectionalLSTM(network.embedding, network.guide, 1, network.guide_dropout) for _ in range(2)
    )
    match = BilinearScorer(target_reader.features, source_reader.features)
    return StepwiseAlignment(parts.source, parts.target, source_reader, target_reader, match)
