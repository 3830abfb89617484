"""What a run on captions keeps of its data: words, the size of images, the length of sentences."""

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from hardpp.data.captions.batches import sentences, word_vocabulary
from hardpp.data.captions.captioned import CaptionedImages
from hardpp.data.vocabulary import Vocabulary
from hardpp.tasks.family import Description

_RARE, _MANY = 5, 20_000  # of so many sentences and more, words that are rarer are unknown


def _vocabulary(words: list[str]) -> list[str]:
    return list(Vocabulary(tuple(words)).symbols)


class CaptionDescription(Description):
    """Words of the training part, the size of images, and the data's fingerprint."""

    words: Annotated[list[str], AfterValidator(_vocabulary)]  # the end mark first
    size: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]  # channels, height, width
    longest: PositiveInt  # words of a sentence

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that a run knows."""
        return Vocabulary(tuple(self.words))


def describe(data: CaptionedImages) -> CaptionDescription:
    """The description of captioned images."""
    train = sentences(data.train)
    return CaptionDescription(
        words=list(word_vocabulary(data.train, _RARE if len(train) >= _MANY else 1).symbols),
        size=list(data.train.images.size),
        longest=max(len(sentence.caption.words) for sentence in train),
        fingerprint=data.fingerprint(),
    )
