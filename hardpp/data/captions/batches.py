"""Padded batches of captioned images, one row for each sentence.

Shapes: B sentences, T words, S regions.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from hardpp.data.batches import length_buckets, pad
from hardpp.data.captions.captioned import Caption, CaptionedPart
from hardpp.data.vocabulary import Vocabulary
from hardpp.types import SequenceBatch


class Sentence(NamedTuple):
    """One sentence about one image."""

    image: int  # place in the part
    caption: Caption


def sentences(part: CaptionedPart, references: int | None = None) -> list[Sentence]:
    """List the sentences of a part, image by image: the first `references` of each, or all."""
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
    """Shuffled batches of places of sentences, nearly equally long in a batch (`length_buckets`)."""
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
        sentences: B of them, at least one; an image is read once, however many sentences it has.
        part: Whose images the sentences are about.
        vocabulary: Numbers the words.
        regions: How many an image of some height and width is cut into.
    """
    if not sentences:
        raise ValueError("expected at least one sentence a batch, got none")
    images, rows = torch.tensor([sentence.image for sentence in sentences]).unique(return_inverse=True)
    source = part.images.read(images)[rows]
    source_mask = torch.ones(len(sentences), regions(*part.images.size[1:]), dtype=torch.bool)
    targets = [vocabulary.encode(sentence.caption.words) for sentence in sentences]
    return SequenceBatch(source, source_mask, *pad(targets))
