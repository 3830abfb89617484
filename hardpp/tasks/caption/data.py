"""Which images and sentences train a captioner, and how they become batches.

Shapes: B sentences, S regions, T words.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from hardpp.config import DataConfig
from hardpp.data.batches import in_order
from hardpp.data.captions.batches import Sentence, collate, sentences
from hardpp.data.captions.captioned import CaptionedImages, CaptionedPart
from hardpp.data.captions.corpora import DEFAULT, CaptionOptions, corpus
from hardpp.data.images.rasters import Box
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.caption.description import CaptionDescription
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

BATCH = 50  # sentences read at once when a run is asked about them


class CaptionItems(NamedTuple):
    """Sentences that a run is asked about, and the part of the data that holds their images."""

    sentences: list[Sentence]
    part: CaptionedPart

    @property
    def names(self) -> list[str]:
        """Of the sentences' images."""
        return [self.part.names[sentence.image] for sentence in self.sentences]


def load(config: DataConfig, report: Callable[[str], None]) -> CaptionedImages:
    """The captioned images: a named corpus, fetched or made, or the user's own folder.

    Raises:
        DataError: they cannot be fetched or read.
    """
    options = CaptionOptions()
    if config.name == DEFAULT and config.train_limit is not None:
        options = options._replace(scenes=min(options.scenes, config.train_limit))
    images = corpus(config.name, options, report)
    return images._replace(train=images.train.first(config.train_limit))


def first_sentences(part: CaptionedPart, limit: int | None = None) -> CaptionItems:
    """The first reference of every image of a part, or of the first so many."""
    return CaptionItems(sentences(part, 1)[:limit], part)


def collated(items: CaptionItems, description: CaptionDescription, kernels: Sequence[int]) -> SequenceBatch:
    """The sentences as one batch, in their order.

    Raises:
        DataError: there are no sentences.
    """
    if not items.sentences:
        raise DataError("there are no captions in this part of the data")
    return collate(items.sentences, items.part, description.vocabulary, partial(region_count, kernels))


def ordered_batches(
    items: CaptionItems, description: CaptionDescription, kernels: Sequence[int]
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All sentences in batches of like length, each with the indices of its sentences.

    Raises:
        DataError: there are no sentences.
    """
    lengths = [len(sentence.caption.words) for sentence in items.sentences]
    for indices in in_order(lengths, BATCH) or [[]]:  # a batch of no sentences is refused
        batch = items._replace(sentences=[items.sentences[index] for index in indices])
        yield indices, collated(batch, description, kernels)


def batches(run: OpenedRun, items: CaptionItems) -> Iterator[tuple[list[int], SequenceBatch]]:
    """The same on the run's device."""
    for indices, batch in ordered_batches(items, run.description, run.network.kernels):
        yield indices, batch.to(run.device)


def region_boxes(run: OpenedRun) -> list[Box]:
    """Where each of the S regions of an image is, in pixels."""
    _, height, width = run.description.size
    return grid_boxes(height, width, run.network.kernels)
