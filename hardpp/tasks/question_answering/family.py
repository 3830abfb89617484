"""Question answering: questions about images, each answered from one region.

Sources: Deng et al. (2018) for model and guide; the small preset is ours.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import Field

from hardpp.config import DataConfig, RunConfig
from hardpp.data.batches import length_buckets
from hardpp.data.fetch.sources import fetch
from hardpp.data.lines import OnBad
from hardpp.data.questions import easy_vqa, vqa
from hardpp.data.questions.answers import answer_vocabulary, draw_answer
from hardpp.data.questions.batches import collate, group_by_image, word_vocabulary
from hardpp.data.questions.questions import Questions
from hardpp.errors import DataError
from hardpp.tasks.family import (
    DEV_ITEMS,
    AlignmentForm,
    EpochBatches,
    Family,
    GuideSpec,
    Recommended,
    Toy,
    prior_guide,
)
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.question_answering.data import QuestionDescription, QuestionItems, ordered_batches
from hardpp.tasks.question_answering.evaluation import AnswerChoice, answer_rows
from hardpp.tasks.question_answering.network import (
    QuestionNetwork,
    QuestionParts,
    answer_informed_guide,
    offset_guide,
    question_parts,
    tempered_guide,
)
from hardpp.tasks.question_answering.run import QuestionAnsweringRun
from hardpp.tasks.question_answering.toy import toy
from hardpp.tasks.refinement import posterior_guide
from hardpp.types import QuestionBatch

EASY = "easy-vqa"
_COMMON, _MANY = 9, 10_000  # a class is the answer to 9 questions at least, of 10,000 or more
_WIDE = dict.fromkeys(("question", "attention", "readout", "guide"), 1024)
_SLOW = {"learning_rate": 5e-4, "weight_decay": 0.0}
_PAPER = {
    "network": {**_WIDE, "embedding": 300, "answer": 256, "dropout": 0.5},
    "optimiser": _SLOW,
    "training": {"batch_size": 96, "max_epochs": 50},
}


class QuestionData(DataConfig):
    """Which questions."""

    on_bad: OnBad = Field(
        "stop", description="an entry that cannot be used: refuse the data, or leave it out and say so"
    )


class QuestionAnsweringFamily(Family):
    """Questions about images, with hard attention."""

    name = "question-answering"
    summary = "every question picks one region of its image (Deng et al. 2018)"
    unit = "a question"
    data = QuestionData
    network = QuestionNetwork
    decoding = AnswerChoice
    description = QuestionDescription
    run = QuestionAnsweringRun
    presets = {
        "small": Recommended(summary="minutes of a CPU"),
        "paper": Recommended(_PAPER, summary="sizes of Deng et al. (2018), for a GPU"),
    }
    guides = {
        "variational": GuideSpec(
            "knows the answer, which gates region and question (Deng et al. 2018)", answer_informed_guide
        ),
        "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
        "tempered": GuideSpec("the prior with a learnt temperature", tempered_guide),
        "offset": GuideSpec("begins where the prior is, and learns how to depart from it", offset_guide),
        "posterior": GuideSpec(
            "the exact posterior, by enumeration; has nothing to train", posterior_guide, False
        ),
    }
    data_sets = (EASY,)
    alignment_forms = {
        "tsv": AlignmentForm("name, question, answer, region (from 0), its box in pixels, probability")
    }
    reads = ("questions",)
    inputs = "a JSON file of questions as VQA has them, or IMAGE, a TAB and a question, one a line"
    results = ("vqa",)
    layouts = {
        "FOLDER/train/questions.json": "easy-VQA, with the pictures in train/images, and test likewise",
        "FOLDER/*questions*.json": "VQA v2: its questions and annotations, and features of regions, *.tsv or "
        "*.npz",
    }
    trust = ("kl",)
    nbest = "answers, regions summed out"
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
        "questions, step": "how many; the run's step",
    }

    def recommended(self, data: str) -> Recommended:
        if not _is_easy(data):
            return Recommended({"training": {"batch_size": 96}, "optimiser": _SLOW})
        return Recommended(
            {
                "objective": "exact",  # draws of a guide leave the right region out too often to learn shapes
                "training": {"batch_size": 8, "max_epochs": 10},
                "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01},
            }
        )

    def toy(self) -> Toy:
        return toy()

    def load(self, config: QuestionData, report: Callable[[str], None]) -> Questions:
        options: dict[str, Any] = {"on_bad": config.on_bad, "report": report}
        if config.name == EASY:
            questions = easy_vqa.questions(fetch(EASY, report), **options)
        elif _is_easy(config.name):
            questions = easy_vqa.questions(config.name, Path(config.name).resolve().name, **options)
        else:
            questions = vqa.questions(config.name, **options)
        return questions._replace(train=questions.train[: config.train_limit])

    def items(self, data: Questions, part: str) -> QuestionItems:
        return QuestionItems(getattr(data, part), data.pictures)

    def describe(self, data: Questions) -> QuestionDescription:
        free = max(len(question.answers) for question in data.train) > 1 and len(data.train) >= _MANY
        answers = answer_vocabulary(data.train, _COMMON if free else 1)
        if len(answers) < 2:
            raise DataError(f"{data.name}: the training questions have {len(answers)} answers to choose from")
        return QuestionDescription(
            words=word_vocabulary(data.train),
            answers=answers,
            images=data.pictures.kind,
            channels=data.pictures.channels,
            size=_size(data),
            fingerprint=data.fingerprint(),
        )

    def parts(self, network: QuestionNetwork, description: QuestionDescription) -> QuestionParts:
        return question_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: Questions, description: QuestionDescription
    ) -> EpochBatches:
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
        items = self.items(data, "dev")
        return [batch for _, batch in ordered_batches(items, description, config.network["kernels"])]

    def outline(self, config: RunConfig, description: QuestionDescription) -> list[str]:
        return [f"{len(description.words)} words", f"{len(description.answers)} answers", description.images]

    def dev_figures(self, run: QuestionAnsweringRun) -> dict[str, float]:
        items = run.select(part="dev", limit=DEV_ITEMS)
        answers, questions = run.description.answers, items.questions
        said = (
            (answers[int(log_p.argmax(-1))], questions[index].answers)
            for index, log_p in answer_rows(run, items, AnswerChoice())
        )
        return {"accuracy": fmean(vqa_accuracy(answer, right) for answer, right in said)}

    def label(self, description: QuestionDescription, batch: QuestionBatch, row: int) -> str:
        words = ["", "<unk>", *description.words]
        numbers = batch.question[row].tolist()  # a list for every question
        questions = (" ".join(words[number] for number in question if number) for question in numbers)
        return f"the image of {', '.join(repr(question) for question in questions if question)}"


# Height and width of pictures of pixels, by the first; nothing of regions.
def _size(data: Questions) -> list[int]:
    if data.pictures.kind != "pixels":
        return []
    _, height, width = data.pictures.read(data.train[0].image).shape
    return [height, width]


# Is this easy-VQA, or a folder laid out as it is?
def _is_easy(name: str) -> bool:
    return name == EASY or (Path(name) / "train" / "questions.json").is_file()
