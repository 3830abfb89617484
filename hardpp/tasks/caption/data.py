"""Which images and sentences train a captioner, and how they become batches.

Shapes: B sentences, S regions, T words.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hardpp.config import DataConfig, RunConfig
from hardpp.data.captions.batches import Sentence, collate, sentences, word_vocabulary
from hardpp.data.captions.captioned import CaptionedImages, CaptionedPart
from hardpp.data.captions.corpora import DEFAULT, CaptionOptions, corpus
from hardpp.data.images.rasters import Box
from hardpp.data.order import in_order
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import DataError
from hardpp.nn.grid_encoder import grid_boxes
from hardpp.tasks.family import Run
from hardpp.tasks.image_regions import regions
from hardpp.types import SequenceBatch

ROWS = 50  # sentences read at once when a run is asked about them
_RARE, _MANY = 5, 20_000  # of so many sentences and more, words that are rarer are unknown


class Chosen(NamedTuple):
    """Sentences that a run is asked about, the first of each image, and the images they are about."""

    sentences: list[Sentence]
    part: CaptionedPart

    @property
    def names(self) -> list[str]:
        """Of the sentences' images."""
        return [self.part.names[one.image] for one in self.sentences]


def load(config: DataConfig, report: Callable[[str], None]) -> CaptionedImages:
    """The captioned images: a named corpus, fetched or made, or the user's own folder.

    Raises:
        DataError: they cannot be fetched or read.
    """
    options = CaptionOptions()
    if config.name == DEFAULT and config.train_limit is not None:
        options = options._replace(scenes=min(options.scenes, config.train_limit))
    found = corpus(config.name, options, report)
    return found._replace(train=found.train.first(config.train_limit))


def describe(data: CaptionedImages) -> dict[str, Any]:
    """Words, the size of images, and the data's fingerprint."""
    train = sentences(data.train)
    return {
        "words": list(word_vocabulary(data.train, _RARE if len(train) >= _MANY else 1).symbols),
        "size": list(data.train.images.size),
        "longest": max(len(one.caption.words) for one in train),
        "fingerprint": data.fingerprint(),
    }


def vocabulary(description: Mapping[str, Any]) -> Vocabulary:
    """The words that a run knows, the end mark first."""
    return Vocabulary(tuple(description["words"]))


def boxes(config: RunConfig, description: Mapping[str, Any]) -> list[Box]:
    """Where each of the S regions is: left, top, right, bottom in pixels."""
    _, height, width = description["size"]
    return grid_boxes(height, width, config.network["kernels"])


def ordered_batches(
    chosen: Chosen, config: RunConfig, description: Mapping[str, Any]
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All sentences in batches of like length, each with their places.

    Raises:
        DataError: there are no sentences.
    """
    if not chosen.sentences:
        raise DataError("there are no captions in this part of the data")
    known, cut = vocabulary(description), regions(config)
    for rows in in_order([len(one.caption.words) for one in chosen.sentences], ROWS):
        yield rows, collate([chosen.sentences[row] for row in rows], chosen.part, known, cut)


def batches(run: Run, chosen: Chosen) -> Iterator[tuple[list[int], SequenceBatch]]:
    """The same on the run's device."""
    for rows, batch in ordered_batches(chosen, run.config, run.description):
        yield rows, batch.to(run.device)
