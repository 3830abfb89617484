"""The networks that answer questions, their guide, and the sizes of both."""

from typing import NamedTuple

from pydantic import Field
from torch import nn

from hardpp import sites
from hardpp.config.section import WIDEST, Section
from hardpp.guides.offset_prior import OffsetPrior
from hardpp.guides.question_answering import AnswerInformed
from hardpp.guides.tempered_prior import TemperedPrior
from hardpp.models.question_answering import QuestionAnswering
from hardpp.nn.attention import GatedScorer, RegionScorer
from hardpp.nn.grid_encoder import GridEncoder
from hardpp.nn.readout import AnswerReadout
from hardpp.nn.recurrent import QuestionReader
from hardpp.tasks.image_regions import Kernels
from hardpp.tasks.question_answering.data import QuestionDescription


class QuestionNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    kernels: Kernels = Field([4, 3, 2], description="see GridEncoder: regions of 12 pixels, 8 apart")
    image: int = Field(64, ge=1, le=WIDEST, description="features of a region of pixels")
    embedding: int = Field(32, ge=1, le=WIDEST, description="features of a word")
    question: int = Field(64, ge=1, le=WIDEST, description="features of a question")
    attention: int = Field(64, ge=1, le=WIDEST, description="hidden features of the scorer")
    readout: int = Field(128, ge=1, le=WIDEST, description="hidden features of the readout")
    answer: int = Field(32, ge=1, le=WIDEST, description="features of an answer, in the guide")
    guide: int = Field(64, ge=1, le=WIDEST, description="hidden features of the guide's scorer")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the readout's hidden features")


class QuestionParts(NamedTuple):
    """A model that answers questions, and what its guide shares with it."""

    model: QuestionAnswering
    memory: int  # features of a region
    answers: int
    network: QuestionNetwork


def question_parts(network: QuestionNetwork, description: QuestionDescription) -> QuestionParts:
    """Makes the model."""
    encoder: nn.Module = nn.Identity()
    memory, answers = description.channels, len(description.answers)
    if description.images == "pixels":
        encoder = grid = GridEncoder(network.kernels, network.image)
        memory = grid.features
    words = nn.Embedding(len(description.words) + 2, network.embedding)
    reader = QuestionReader(words, network.embedding, network.question)
    scorer = RegionScorer(network.question, memory, network.attention)
    readout = AnswerReadout(memory, network.question, network.readout, answers, network.dropout)
    return QuestionParts(QuestionAnswering(encoder, reader, scorer, readout), memory, answers, network)


def answer_informed_guide(parts: QuestionParts) -> AnswerInformed:
    """The guide that knows the answer; it reads images and questions with the model's networks."""
    model, network = parts.model, parts.network
    gated = GatedScorer(parts.memory, network.question, network.answer, network.guide)
    return AnswerInformed(model.encoder, model.reader, nn.Embedding(parts.answers, network.answer), gated)


def offset_guide(parts: QuestionParts) -> nn.Module:
    """The prior and what the answer adds to it, at first nothing."""
    informed = answer_informed_guide(parts)
    return OffsetPrior(parts.model, sites.REGION, informed, informed.scorer.score.parameters())


def tempered_guide(parts: QuestionParts) -> nn.Module:
    """The prior with a temperature."""
    return TemperedPrior(parts.model)
