"""The networks of a captioner and its guide, and their sizes."""

from typing import NamedTuple

from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Section
from hardpp.data.vocabulary import BOUNDARY
from hardpp.guides.captioner import SentenceInformed
from hardpp.models.captioner import Captioner
from hardpp.nn.attention import AdditiveScorer, BilinearScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.grid_encoder import GridEncoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.tasks.caption.data import CaptionDescription
from hardpp.tasks.image_regions import Kernels


class CaptionNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    kernels: Kernels = Field([4, 4, 4], description="see GridEncoder: regions of 22 pixels, 8 apart")
    image: int = Field(64, ge=1, le=WIDEST, description="features of a region")
    embedding: int = Field(64, ge=1, le=WIDEST, description="features of a word")
    decoder: int = Field(128, ge=1, le=WIDEST, description="features of the decoder and the readout")
    attention: int = Field(128, ge=1, le=WIDEST, description="hidden features of the scorer")
    guide: int = Field(64, ge=1, le=WIDEST, description="features of each direction of the guide's reader")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the model's hidden features")


class CaptionParts(NamedTuple):
    """A captioner, and what its guide shares with it."""

    model: Captioner
    encoder: GridEncoder
    words: nn.Embedding
    network: CaptionNetwork


def caption_parts(network: CaptionNetwork, description: CaptionDescription) -> CaptionParts:
    """Makes the model."""
    encoder = GridEncoder(network.kernels, network.image, description.size[0])
    memory, words = encoder.features, nn.Embedding(len(description.words), network.embedding)
    scorer = AdditiveScorer(network.decoder, memory, network.attention)
    decoder = InputFeedingDecoder(
        words, network.embedding, scorer, memory, network.decoder, 1, network.dropout
    )
    readout = Readout(memory, network.decoder, network.decoder, words.num_embeddings, network.dropout)
    return CaptionParts(Captioner(encoder, decoder, readout, BOUNDARY), encoder, words, network)


def sentence_informed_guide(parts: CaptionParts) -> nn.Module:
    """The guide that reads the whole sentence; it shares the features of regions and words."""
    reader = BidirectionalLSTM(parts.network.embedding, parts.network.guide)
    match = BilinearScorer(reader.features, parts.encoder.features)
    return SentenceInformed(parts.encoder, parts.words, reader, match)
