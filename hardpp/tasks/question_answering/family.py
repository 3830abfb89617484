"""Question answering: questions about images, each answered from one region.

Sources: Deng et al. (2018) for model and guide; the small preset is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, Field
from torch import nn

from hardpp.config import DataConfig, RunConfig, Section
from hardpp.data.order import length_buckets
from hardpp.data.questions.answers import draw_answer
from hardpp.data.questions.batches import collate, group_by_image
from hardpp.data.questions.questions import Questions
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.guides.question_answering import AnswerInformed
from hardpp.models.question_answering import QuestionAnswering
from hardpp.nn.answer_readout import AnswerReadout
from hardpp.nn.gated_scorer import GatedScorer
from hardpp.nn.grid_encoder import GridEncoder
from hardpp.nn.question_reader import QuestionReader
from hardpp.nn.region_scorer import RegionScorer
from hardpp.tasks.family import Programs
from hardpp.tasks.image_regions import Kernels, regions
from hardpp.tasks.question_answering import data as question_data
from hardpp.tasks.question_answering.data import Chosen, Numbers, asked_batches
from hardpp.tasks.question_answering.evaluation import AnswerChoice
from hardpp.tasks.question_answering.run import QuestionVerbs
from hardpp.types import QuestionBatch


class QuestionNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    kernels: Kernels = Field([4, 3, 2], description="see GridEncoder: regions of 12 pixels, 8 apart")
    image: int = Field(64, ge=1, description="features of a region of pixels")
    embedding: int = Field(32, ge=1, description="features of a word")
    question: int = Field(64, ge=1, description="features of a question")
    attention: int = Field(64, ge=1, description="hidden features of the scorer")
    readout: int = Field(128, ge=1, description="hidden features of the readout")
    answer: int = Field(32, ge=1, description="features of an answer, in the guide")
    guide: int = Field(64, ge=1, description="hidden features of the guide's scorer")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the readout's hidden features")


class QuestionTask(QuestionVerbs):
    """Questions about images, with hard attention; see `hardpp.tasks.family.Task`."""

    name: str = "question-answering"
    summary: str = "every question picks one region of its image (Deng et al. 2018)"
    unit: str = "question"
    network: type[BaseModel] = QuestionNetwork
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {},
        "paper": {
            "network": {
                "embedding": 300,
                "question": 1024,
                "attention": 1024,
                "readout": 1024,
                "answer": 256,
                "guide": 1024,
                "dropout": 0.5,
            },
            "optimiser": {"learning_rate": 5e-4, "weight_decay": 0.0},
            "training": {"batch_size": 96, "max_epochs": 50},
        },
    }
    guides: Mapping[str, str] = {
        "variational": "knows the answer, which gates region and question (Deng et al. 2018)",
        "prior": "the model's own latents: hard attention (Xu et al. 2015)",
    }
    data_sets: Sequence[str] = ("easy-vqa",)
    data: type[DataConfig] = question_data.QuestionData
    decoding: type[BaseModel] = AnswerChoice

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for a data set, or for a user's folder by its layout."""
        if not question_data.is_easy(data):
            return {"training": {"batch_size": 96}, "optimiser": {"learning_rate": 5e-4, "weight_decay": 0.0}}
        return {
            "objective": "exact",  # draws of a guide leave the right region out too often to learn shapes
            "training": {"batch_size": 8, "max_epochs": 10},
            "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01},
        }

    def load(self, config: question_data.QuestionData, report: Callable[[str], None]) -> Questions:
        """The questions: a named data set, fetched if need be, or the user's own folder."""
        return question_data.load(config, report)

    def describe(self, data: Questions) -> dict[str, Any]:
        """Words, answers, what images are, and the data's fingerprint."""
        return question_data.describe(data)

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide; they read images and questions with the same networks."""
        sizes = QuestionNetwork(**config.network)
        encoder: nn.Module = nn.Identity()
        memory = int(description["channels"])
        if description["images"] == "pixels":
            encoder = grid = GridEncoder(sizes.kernels, sizes.image)
            memory = grid.features
        words = nn.Embedding(len(description["words"]) + 2, sizes.embedding)
        reader = QuestionReader(words, sizes.embedding, sizes.question)
        scorer = RegionScorer(sizes.question, memory, sizes.attention)
        answers = len(description["answers"])
        readout = AnswerReadout(memory, sizes.question, sizes.readout, answers, sizes.dropout)
        model = QuestionAnswering(encoder, reader, scorer, readout)
        if config.guide == "prior":
            return Programs(model, Prior(model))
        if config.guide != "variational":
            raise UsageError(f"model {self.name} has no guide {config.guide!r}")
        gated = GatedScorer(memory, sizes.question, sizes.answer, sizes.guide)
        return Programs(model, AnswerInformed(encoder, reader, nn.Embedding(answers, sizes.answer), gated))

    def epoch_batches(
        self, config: RunConfig, data: Questions, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], QuestionBatch]]]:
        """Batches of images with all their questions, shuffled, and labels drawn, by seed and epoch."""
        numbers = Numbers.of(description)
        answered = [q for q in data.train if any(answer in numbers.classes for answer in q.answers)]
        groups = group_by_image(answered)
        lengths = [len(group.questions) for group in groups]

        def epoch(number: int) -> Sequence[Callable[[], QuestionBatch]]:
            def make(batch: list[int]) -> QuestionBatch:
                rows = [groups[index] for index in batch]
                asked = [answered[place] for row in rows for place in row.questions]
                labels = [draw_answer(q, numbers.classes, config.seed, number) for q in asked]
                return collate(
                    group_by_image(asked), asked, labels, data.pictures, numbers.words, regions(config)
                )

            batches = length_buckets(lengths, lengths, config.training.batch_size, config.seed, number)
            return [partial(make, batch) for batch in batches]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: Questions, description: Mapping[str, Any]
    ) -> list[QuestionBatch]:
        """The dev part, with the likeliest answers."""
        chosen = Chosen(data.dev, data.pictures)
        return [batch for _, batch in asked_batches(chosen, Numbers.of(description), regions(config))]
