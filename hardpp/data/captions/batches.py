"""Padded batches of captioned images, one row for each sentence.

Shapes: B sentences, T words, S regions.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from hardpp.data.captions.captioned import Caption, CaptionedPart
from hardpp.data.order import length_buckets
from hardpp.data.padding import pad
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.types import SequenceBatch


class Sentence(NamedTuple):
    """One sentence about one image."""

    image: int  # place in the part
    caption: Caption


def sentences(part: CaptionedPart, references: int | None = None) -> list[Sentence]:
    """List the sentences of a part, image by image.

    Args:
        part: Of a corpus.
        references: How many an image, from the first; all when left out.
    """
    return [
        Sentence(place, caption)
        for place, captions in enumerate(part.captions)
        for caption in captions[:references]
    ]


def word_vocabulary(part: CaptionedPart, min_count: int = 1) -> Vocabulary:
    """The words that occur at least `min_count` times in a part."""
    counts = Counter(word for sentence in sentences(part) for word in sentence.caption.words)
    return Vocabulary.of([[word for word, count in counts.items() if count >= min_count]])


def buckets(sentences: Sequence[Sentence], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of places of sentences, nearly equally long in a batch (`length_buckets`).

    Raises:
        ValueError: `batch_size` is below 1.
    """
    lengths = [len(sentence.caption.words) for sentence in sentences]
    return length_buckets(lengths, lengths, batch_size, seed, epoch)


def collate(
    sentences: Sequence[Sentence],
    part: CaptionedPart,
    vocabulary: Vocabulary,
    regions: Callable[[int, int], int],
) -> SequenceBatch:
    """Read the images, append the boundary to the sentences, and pad these on the right with 0.

    Args:
        chosen: B sentences; their images are read once each, however many sentences they have.
        part: Whose images the sentences are about.
        vocabulary: Numbers the words.
        regions: How many an image of some height and width is cut into.

    Raises:
        ValueError: There are no sentences.
        DataError: An image cannot be read.
    """
    if not sentences:
        raise ValueError("expected at least one sentence a batch, got none")
    images, rows = torch.tensor([sentence.image for sentence in sentences]).unique(return_inverse=True)
    source = part.images.read(images)[rows]
    target, target_mask = pad(
        [[*vocabulary.encode(sentence.caption.words), BOUNDARY] for sentence in sentences]
    )
    source_mask = torch.ones(len(sentences), regions(*part.images.size[1:]), dtype=torch.bool)
    return SequenceBatch(source, source_mask, target, target_mask)
