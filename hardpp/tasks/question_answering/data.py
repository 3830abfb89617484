"""Questions about images: what a run keeps of them, which it is asked, and how they become batches.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from hardpp.data.images.rasters import Box
from hardpp.data.questions.answers import most_given_class
from hardpp.data.questions.batches import UNKNOWN, Asked, collate, group_by_image
from hardpp.data.questions.questions import Pictures, Question
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.family import Description
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.item_lists import Selection
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import QuestionBatch

BATCH = 32  # images read at once when a run is asked about them


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError(f"{len(names) - len(set(names))} of them occur twice")
    return names


Names = Annotated[list[str], AfterValidator(_distinct)]


class QuestionDescription(Description):
    """Words and answers of the training part, what images are, and the data's fingerprint."""

    words: Names
    answers: Annotated[Names, Field(min_length=2)]  # the classes
    images: Literal["pixels", "regions"]
    channels: PositiveInt  # of pixels, or features of a region
    size: list[PositiveInt] = Field([])  # height and width of pixels; older runs do not know it

    @cached_property
    def word_numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=UNKNOWN + 1)}

    @cached_property
    def classes(self) -> dict[str, int]:  # the number of every answer
        return {answer: number for number, answer in enumerate(self.answers)}


@dataclass(frozen=True)
class QuestionItems(Selection):
    """Questions that a run is asked, and their images."""

    questions: list[Question]
    pictures: Pictures

    def __len__(self) -> int:
        return len(self.questions)

    def at(self, indices: Sequence[int]) -> "QuestionItems":
        """Some of the questions, by their indices."""
        return replace(self, questions=[self.questions[index] for index in indices])


def ordered_batches(
    items: QuestionItems, description: QuestionDescription, kernels: Sequence[int], size: int | None = None
) -> Iterator[tuple[list[Asked], QuestionBatch]]:
    """All questions in batches of so many images, with what each row asks; labels are the likeliest answers.

    Raises DataError if there are no questions.
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
        run.watch(sum(len(image.questions) for image in asked))


def cells(asked: Sequence[Asked]) -> Iterator[tuple[int, int, int]]:
    """Row and column in a batch, and index among the items, of every question."""
    for row, image in enumerate(asked):
        for column, index in enumerate(image.questions):
            yield row, column, index


def region_boxes(run: OpenedRun, pictures: Pictures, image: str) -> list[Box]:
    """Where each of the S regions of an image is, in pixels."""
    if (boxes := pictures.boxes(image)) is not None:
        return boxes
    _, height, width = pictures.read(image).shape
    return grid_boxes(height, width, run.network.kernels)
