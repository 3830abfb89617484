"""Which questions train a question-answering model, and how they become batches.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.fetch.sources import fetch
from hardpp.data.images.rasters import Box
from hardpp.data.lines import OnBad
from hardpp.data.questions import easy_vqa, vqa
from hardpp.data.questions.answers import most_given_class
from hardpp.data.questions.batches import Asked, collate, group_by_image
from hardpp.data.questions.questions import Pictures, Question, Questions
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.question_answering.description import QuestionDescription
from hardpp.types import QuestionBatch

BATCH = 32  # images read at once when a run is asked about them


class QuestionData(DataConfig):
    """Which questions."""

    on_bad: OnBad = Field(
        "stop", description="an entry that cannot be used: refuse the data, or leave it out and say so"
    )


class QuestionItems(NamedTuple):
    """Questions that a run is asked, and their images."""

    questions: list[Question]
    pictures: Pictures


def load(config: QuestionData, report: Callable[[str], None]) -> Questions:
    """The questions: easy-VQA by name, or a folder laid out as it or as VQA v2.

    Raises:
        DataError: they cannot be fetched or read.
    """
    options: dict[str, Any] = {"on_bad": config.on_bad, "report": report}
    if config.name == "easy-vqa":
        questions = easy_vqa.questions(fetch("easy-vqa", report), **options)
    elif is_easy(config.name):
        questions = easy_vqa.questions(config.name, Path(config.name).resolve().name, **options)
    else:
        questions = vqa.questions(config.name, **options)
    return questions._replace(train=questions.train[: config.train_limit])


def is_easy(name: str) -> bool:
    """Is this easy-VQA, or a folder laid out as it is?"""
    return name == "easy-vqa" or (Path(name) / "train" / "questions.json").is_file()


def ordered_batches(
    items: QuestionItems, description: QuestionDescription, kernels: Sequence[int], size: int | None = None
) -> Iterator[tuple[list[Asked], QuestionBatch]]:
    """All questions in batches of so many images, with what each row asks; labels are the likeliest answers.

    Raises:
        DataError: there are no questions.
    """
    if not items.questions:
        raise DataError("there are no questions in this part of the data")
    labels = [most_given_class(question, description.classes) for question in items.questions]
    images, size = group_by_image(items.questions), size or BATCH
    words, regions = description.word_numbers, partial(region_count, kernels)
    for start in range(0, len(images), size):
        asked = images[start : start + size]
        yield asked, collate(asked, items.questions, labels, items.pictures, words, regions)


def batches(run: OpenedRun, items: QuestionItems) -> Iterator[tuple[list[Asked], QuestionBatch]]:
    """The same on the run's device."""
    for asked, batch in ordered_batches(items, run.description, run.network.kernels):
        yield asked, batch.to(run.device)


def cells(asked: Sequence[Asked]) -> Iterator[tuple[int, int, int]]:
    """Row and column in a batch, and index among the items, of every question."""
    for row, image in enumerate(asked):
        for column, index in enumerate(image.questions):
            yield row, column, index


def region_boxes(run: OpenedRun, pictures: Pictures, image: str) -> list[Box]:
    """Where each of the S regions of an image is, in pixels."""
    boxes = pictures.boxes(image)
    if boxes is not None:
        return boxes
    _, height, width = pictures.read(image).shape
    return grid_boxes(height, width, run.network.kernels)
