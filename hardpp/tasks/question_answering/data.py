"""Which questions train a question-answering model, and how they become batches.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from hardpp.config import DataConfig, RunConfig
from hardpp.data.fetch.sources import fetch
from hardpp.data.images.rasters import Box
from hardpp.data.lines import OnBad
from hardpp.data.questions import easy_vqa, vqa
from hardpp.data.questions.answers import answer_vocabulary, most_given_class
from hardpp.data.questions.batches import Asked, collate, group_by_image, number_names, word_vocabulary
from hardpp.data.questions.questions import Pictures, Question, Questions
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.family import Run
from hardpp.tasks.image_regions import regions
from hardpp.types import QuestionBatch

IMAGES = 32  # images read at once when a run is asked about them
_FIRST_WORD = 2  # numbers below are padding and unknown words
_COMMON, _MANY = 9, 10_000  # a class is the answer to 9 questions at least, of 10,000 or more


class QuestionData(DataConfig):
    """Which questions."""

    on_bad: OnBad = Field(
        "stop", description="an entry that cannot be used: refuse the data, or leave it out and say so"
    )


class Chosen(NamedTuple):
    """Questions that a run is asked, and their images."""

    questions: list[Question]
    pictures: Pictures


class Numbers(NamedTuple):
    """How a run writes words and answers."""

    words: dict[str, int]
    classes: dict[str, int]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> "Numbers":
        """Those of a run's description."""
        return cls(number_names(description["words"], _FIRST_WORD), number_names(description["answers"]))


def load(config: QuestionData, report: Callable[[str], None]) -> Questions:
    """The questions: easy-VQA by name, or a folder laid out as it or as VQA v2.

    Raises:
        DataError: they cannot be fetched or read.
    """
    how: dict[str, Any] = {"on_bad": config.on_bad, "report": report}
    if config.name == "easy-vqa":
        found = easy_vqa.questions(fetch("easy-vqa", report), **how)
    elif is_easy(config.name):
        found = easy_vqa.questions(config.name, Path(config.name).resolve().name, **how)
    else:
        found = vqa.questions(config.name, **how)
    return found._replace(train=found.train[: config.train_limit])


def is_easy(name: str) -> bool:
    """Is this easy-VQA, or a folder laid out as it is?"""
    return name == "easy-vqa" or (Path(name) / "train" / "questions.json").is_file()


def describe(data: Questions) -> dict[str, Any]:
    """Words and answers of the training part, what images are, and the data's fingerprint.

    Raises:
        DataError: fewer than two answers are left to choose between.
    """
    free = max(len(question.answers) for question in data.train) > 1 and len(data.train) >= _MANY
    answers = answer_vocabulary(data.train, _COMMON if free else 1)
    if len(answers) < 2:
        raise DataError(f"{data.name}: the training questions have {len(answers)} answers to choose from")
    return {
        "words": word_vocabulary(data.train),
        "answers": answers,
        "images": data.pictures.kind,
        "channels": data.pictures.channels,
        "fingerprint": data.fingerprint(),
    }


def asked_batches(
    chosen: Chosen, numbers: Numbers, regions: Callable[[int, int], int], images: int = IMAGES
) -> Iterator[tuple[list[Asked], QuestionBatch]]:
    """All questions in batches, with what each row of a batch asks; labels are people's likeliest answers."""
    questions, pictures = chosen
    labels = [most_given_class(question, numbers.classes) for question in questions]
    groups = group_by_image(questions)
    for start in range(0, len(groups), images):
        rows = groups[start : start + images]
        yield rows, collate(rows, questions, labels, pictures, numbers.words, regions)


def batches(run: Run, chosen: Chosen) -> Iterator[tuple[list[Asked], QuestionBatch]]:
    """The same on a run's device, as the run writes words and answers.

    Raises:
        DataError: there are no questions.
    """
    if not chosen.questions:
        raise DataError("there are no questions in this part of the data")
    for rows, batch in asked_batches(chosen, Numbers.of(run.description), regions(run.config)):
        yield rows, batch.to(run.device)


def placed(rows: Sequence[Asked]) -> Iterator[tuple[int, int, int]]:
    """Row and column in a batch, and place in the list of questions, of every question."""
    for row, one in enumerate(rows):
        for column, place in enumerate(one.questions):
            yield row, column, place


def region_boxes(run: Run, pictures: Pictures, image: str) -> list[Box]:
    """Where each of the S regions of an image is."""
    found = pictures.boxes(image)
    if found is not None:
        return found
    _, height, width = pictures.read(image).shape
    return grid_boxes(height, width, run.config.network["kernels"])


def half_apart(config: RunConfig) -> float:
    """Half the pixels between neighbouring regions of a run's grid: as finely as it can point."""
    apart: int = 2 ** len(config.network["kernels"])
    return apart / 2


def inside(box: Box, gold: Box, tolerance: float = 0.0) -> bool:
    """Is the middle of a box within another, give or take so many pixels?"""
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return (
        gold[0] - tolerance < across < gold[2] + tolerance
        and gold[1] - tolerance < down < gold[3] + tolerance
    )
