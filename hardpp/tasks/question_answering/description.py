"""What a run on questions keeps of its data: words, answers, and what images are."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from hardpp.data.questions.answers import answer_vocabulary
from hardpp.data.questions.batches import UNKNOWN, word_vocabulary
from hardpp.data.questions.questions import Questions
from hardpp.errors import DataError
from hardpp.tasks.family import Description

_COMMON, _MANY = 9, 10_000  # a class is the answer to 9 questions at least, of 10,000 or more


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

    @cached_property
    def word_numbers(self) -> dict[str, int]:
        """The number of every word in a batch."""
        return {word: number for number, word in enumerate(self.words, start=UNKNOWN + 1)}

    @cached_property
    def classes(self) -> dict[str, int]:
        """The number of every answer."""
        return {answer: number for number, answer in enumerate(self.answers)}


def describe(data: Questions) -> QuestionDescription:
    """The description of questions.

    Raises:
        DataError: fewer than two answers are left to choose between.
    """
    free = max(len(question.answers) for question in data.train) > 1 and len(data.train) >= _MANY
    answers = answer_vocabulary(data.train, _COMMON if free else 1)
    if len(answers) < 2:
        raise DataError(f"{data.name}: the training questions have {len(answers)} answers to choose from")
    return QuestionDescription(
        words=word_vocabulary(data.train),
        answers=answers,
        images=data.pictures.kind,
        channels=data.pictures.channels,
        fingerprint=data.fingerprint(),
    )
