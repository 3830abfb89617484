"""Padded batches of questions, in which every image is there once with all questions about it.

Shapes: B images, T questions of an image, L words, S regions, F features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from hardpp.data.questions.questions import Pictures, Question
from hardpp.errors import DataError
from hardpp.types import QuestionBatch

PADDING, UNKNOWN = 0, 1  # words; those of the vocabulary follow


class Asked(NamedTuple):
    """An image, and the places of the questions about it in a list of questions."""

    image: str
    questions: list[int]


def group_by_image(questions: Iterable[Question]) -> list[Asked]:
    """Group questions by image; images and questions stay in the order in which they come."""
    questions_of: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        questions_of.setdefault(question.image, []).append(place)
    return [Asked(image, places) for image, places in questions_of.items()]


def word_vocabulary(questions: Iterable[Question]) -> list[str]:
    """All words of the questions, sorted; word n of the list is number n + 2 in a batch."""
    return sorted({word for question in questions for word in question.words})


def collate(
    asked: Sequence[Asked],
    questions: Sequence[Question],
    labels: Sequence[int | None],
    pictures: Pictures,
    words: Mapping[str, int],
    regions: Callable[[int, int], int],
) -> QuestionBatch:
    """Read the images, and pad the questions about them on the right.

    Args:
        asked: B images, at least one, with the places of their questions.
        questions: Every question that the places may mean.
        labels: An answer for each place; None where no class is the answer, which leaves it unscored.
        pictures: Gives the images; those of pixels must be of one size.
        words: Numbers of the words, from 2.
        regions: How many an image of pixels of some height and width is cut into.
    """
    if not asked:
        raise ValueError("expected at least one image a batch, got none")
    images = [pictures.read(about.image) for about in asked]
    if pictures.kind == "pixels":
        _, height, width = images[0].shape
        for about, image in zip(asked, images, strict=True):
            if image.shape != images[0].shape:
                raise DataError(
                    f"image {about.image} has {image.shape[1]} x {image.shape[2]} pixels and image "
                    f"{asked[0].image} {height} x {width}: images have to be of one size"
                )
        source = torch.from_numpy(np.stack(images))  # which keeps the layout in memory that the images have
        source_mask = torch.ones(len(asked), regions(height, width), dtype=torch.bool)
    else:
        source = pad_sequence([torch.tensor(image) for image in images], batch_first=True)
        source_mask = torch.arange(source.shape[1]) < torch.tensor([len(image) for image in images])[:, None]
    B, T = len(asked), max(len(about.questions) for about in asked)
    spelt = [
        [[words.get(word, UNKNOWN) for word in questions[place].words] for place in about.questions]
        for about in asked
    ]
    L = max((len(numbers) for row in spelt for numbers in row), default=1) or 1
    question, target = np.full((B, T, L), PADDING), np.zeros((B, T), dtype=np.int64)
    target_mask = np.zeros((B, T), dtype=bool)
    for row, about in enumerate(asked):
        for column, place in enumerate(about.questions):
            numbers, label = spelt[row][column], labels[place]
            question[row, column, : len(numbers)] = numbers
            if label is not None:
                target[row, column], target_mask[row, column] = label, True
    padded = (question, question != PADDING, target, target_mask)
    return QuestionBatch(source, source_mask, *(torch.from_numpy(part) for part in padded))
