"""Captioned images: what a run keeps of them, which it is asked about, and how they become batches.

Shapes: B sentences, S regions, T words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from hardpp.data.batches import in_order
from hardpp.data.captions.batches import Sentence, collate, sentences
from hardpp.data.captions.captioned import Caption, CaptionedPart, joined_parts
from hardpp.data.images.asked_pictures import AskedPicture, files_like
from hardpp.data.images.rasters import Box
from hardpp.data.parts import ALL
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.family import Description
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.item_lists import Selection
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import ALLOWANCE
from hardpp.types import SequenceBatch

BATCH = 50  # sentences read at once when a run is asked about them


def _vocabulary(words: list[str]) -> list[str]:
    return list(Vocabulary(tuple(words)).symbols)


class CaptionDescription(Description):
    """Words of the training part, the size of images, and the data's fingerprint."""

    words: Annotated[list[str], AfterValidator(_vocabulary)]  # the end mark first
    size: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]  # channels, height, width
    longest: PositiveInt  # words of a sentence

    @property
    def most_steps(self) -> int:
        """After how many words, the end included, a sentence of the model's own is given up."""
        return int(1.5 * self.longest) + ALLOWANCE

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(self.words))


@dataclass(frozen=True)
class CaptionItems(Selection):
    """Sentences that a run is asked about, and the part of the data that holds their images."""

    sentences: list[Sentence]
    part: CaptionedPart

    @property
    def names(self) -> list[str]:
        return [self.part.names[sentence.image] for sentence in self.sentences]

    def __len__(self) -> int:
        return len(self.sentences)

    def at(self, indices: Sequence[int]) -> "CaptionItems":
        """Some of the sentences, by their indices."""
        return replace(self, sentences=[self.sentences[index] for index in indices])

    def batch(self, description: CaptionDescription, kernels: Sequence[int]) -> SequenceBatch:
        """The sentences as one batch, in their order; raises DataError if there are none."""
        if not self.sentences:
            raise DataError("there are no captions in this part of the data")
        return collate(self.sentences, self.part, description.vocabulary, partial(region_count, kernels))


def first_sentences(part: CaptionedPart, limit: int | None = None) -> CaptionItems:
    """The first reference of every image of a part, or of the first so many."""
    return CaptionItems(sentences(part, 1)[:limit], part)


def one_part(parts: Mapping[str, CaptionedPart], part: str | None, name: str) -> CaptionedPart:
    """One of some parts, by default all of data without parts, else the test part; "all" joins them.

    Raises:
        DataError: there is no such part of the data, which are called `name`.
    """
    part = part or (ALL if ALL in parts else "test")
    if part == ALL and ALL not in parts:
        return joined_parts(list(parts.values()))
    if part not in parts:
        there = "no parts" if ALL in parts else f"parts {', '.join(parts)}"
        hint = "leave --part out" if ALL in parts else f"give --part {next(iter(parts))}, or all"
        raise DataError(f"{name}: has {there}, and part {part} is asked for", hint)
    return parts[part]


def unsaid(pictures: Sequence[AskedPicture], description: CaptionDescription) -> CaptionItems:
    """Pictures about which nothing is said yet, made like those of training."""
    channels, height, width = description.size
    size = (channels, height, width)
    # Coloured images were read at a side, grey ones are scenes.
    side = None if channels == 1 else height
    images = files_like([each.picture for each in pictures], size, side=side)
    nothing = [(Caption(()),)] * len(pictures)
    return first_sentences(CaptionedPart([each.name for each in pictures], images, nothing))


def ordered_batches(
    items: CaptionItems, description: CaptionDescription, kernels: Sequence[int]
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All sentences in batches of like length, each with the indices of its sentences."""
    lengths = [len(sentence.caption.words) for sentence in items.sentences]
    for indices in in_order(lengths, BATCH) or [[]]:  # a batch of no sentences is refused
        yield indices, items.at(indices).batch(description, kernels)


def batches(run: OpenedRun, items: CaptionItems) -> Iterator[tuple[list[int], SequenceBatch]]:
    """The same on the run's device."""
    for indices, batch in ordered_batches(items, run.description, run.network.kernels):
        yield indices, batch.to(run.device)
        run.watch(len(indices))


def region_boxes(run: OpenedRun) -> list[Box]:
    """Where each of the S regions of an image is, in pixels."""
    _, height, width = run.description.size
    return grid_boxes(height, width, run.network.kernels)
