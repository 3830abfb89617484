"""Question answering: questions about images, each answered from one region.

Sources: Deng et al. (2018) for model and guide; the small preset is ours.
"""

from collections.abc import Callable, Sequence
from functools import partial

from hardpp.config import RunConfig
from hardpp.data.batches import length_buckets
from hardpp.data.questions.answers import draw_answer
from hardpp.data.questions.batches import collate, group_by_image
from hardpp.data.questions.questions import Questions
from hardpp.tasks.family import AlignmentForm, Family, GuideSpec, Recommended, prior_guide
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.question_answering import data as question_data
from hardpp.tasks.question_answering.data import QuestionData, QuestionItems, ordered_batches
from hardpp.tasks.question_answering.description import QuestionDescription, describe
from hardpp.tasks.question_answering.evaluation import AnswerChoice
from hardpp.tasks.question_answering.network import (
    QuestionNetwork,
    QuestionParts,
    answer_informed_guide,
    question_parts,
)
from hardpp.tasks.question_answering.run import QuestionAnsweringRun
from hardpp.types import QuestionBatch

_WIDE = dict.fromkeys(("question", "attention", "readout", "guide"), 1024)
_SLOW = {"learning_rate": 5e-4, "weight_decay": 0.0}
_PAPER = {
    "network": {**_WIDE, "embedding": 300, "answer": 256, "dropout": 0.5},
    "optimiser": _SLOW,
    "training": {"batch_size": 96, "max_epochs": 50},
}


class QuestionAnsweringFamily(Family):
    """Questions about images, with hard attention."""

    name = "question-answering"
    summary = "every question picks one region of its image (Deng et al. 2018)"
    unit = "question"
    data = QuestionData
    network = QuestionNetwork
    decoding = AnswerChoice
    description = QuestionDescription
    run = QuestionAnsweringRun
    presets = {"small": Recommended(), "paper": Recommended(_PAPER)}
    guides = {
        "variational": GuideSpec(
            "knows the answer, which gates region and question (Deng et al. 2018)", answer_informed_guide
        ),
        "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
    }
    data_sets = ("easy-vqa",)
    alignment_forms = {
        "tsv": AlignmentForm("name, question, answer, region (from 0), its box in pixels, probability")
    }
    layouts = {
        "FOLDER/train/questions.json": "easy-VQA, with the pictures in train/images, and test likewise",
        "FOLDER/*questions*.json": "VQA v2: its questions and annotations, and features of regions, *.tsv or "
        "*.npz",
    }
    figures = {
        "accuracy": "against all people's answers, as VQA has it",
        "nll": "nats a question, of the likeliest answer among people",
        "entropy": "nats a question, of the prior over regions",
        "kl": "nats a question, of the guide to the exact posterior",
        "hit_prior, hit_guide, hit_posterior": "how often the middle of the likeliest region lies in the box "
        "of what is asked about, give or take half the distance between regions",
        "middle_prior, mass, coverage": "without that tolerance; the probability of regions that hit; and "
        "their share of all, which is how often a guess hits",
        "unknown": "share of questions of which no person's answer can be given",
        "questions, step, seconds": "how many; the run's step; seconds of answering 1,000",
    }

    def recommended(self, data: str) -> Recommended:
        """What is recommended for a data set, or for a user's folder by its layout."""
        if not question_data.is_easy(data):
            return Recommended({"training": {"batch_size": 96}, "optimiser": _SLOW})
        return Recommended(
            {
                "objective": "exact",  # draws of a guide leave the right region out too often to learn shapes
                "training": {"batch_size": 8, "max_epochs": 10},
                "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01},
            }
        )

    def load(self, config: QuestionData, report: Callable[[str], None]) -> Questions:
        """The questions: a named data set, fetched if need be, or the user's own folder."""
        return question_data.load(config, report)

    def describe(self, data: Questions) -> QuestionDescription:
        """Words, answers, what images are, and the data's fingerprint."""
        return describe(data)

    def parts(self, network: QuestionNetwork, description: QuestionDescription) -> QuestionParts:
        """The model, and the networks that read images and questions, which a guide shares with it."""
        return question_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: Questions, description: QuestionDescription
    ) -> Callable[[int], Sequence[Callable[[], QuestionBatch]]]:
        """Batches of images with all their questions, shuffled, and labels drawn, by seed and epoch."""
        classes, words = description.classes, description.word_numbers
        answered = [q for q in data.train if any(answer in classes for answer in q.answers)]
        images = group_by_image(answered)
        lengths = [len(image.questions) for image in images]
        regions = partial(region_count, config.network["kernels"])

        def epoch(number: int) -> Sequence[Callable[[], QuestionBatch]]:
            def make(batch: list[int]) -> QuestionBatch:
                asked = [answered[index] for row in batch for index in images[row].questions]
                labels = [draw_answer(question, classes, config.seed, number) for question in asked]
                return collate(group_by_image(asked), asked, labels, data.pictures, words, regions)

            batches = length_buckets(lengths, lengths, config.training.batch_size, config.seed, number)
            return [partial(make, batch) for batch in batches]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: Questions, description: QuestionDescription
    ) -> list[QuestionBatch]:
        """The dev part, with the likeliest answers."""
        items = QuestionItems(data.dev, data.pictures)
        return [batch for _, batch in ordered_batches(items, description, config.network["kernels"])]

    def label(self, description: QuestionDescription, batch: QuestionBatch, row: int) -> str:
        """The questions that are asked of an image."""
        words = ["", "<unk>", *description.words]
        questions = [
            " ".join(words[word] for word in question if word) for question in batch.question[row].tolist()
        ]
        return f"the image of {', '.join(repr(question) for question in questions if question)}"
