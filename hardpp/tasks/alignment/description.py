"""What a run on pairs keeps of its data: vocabularies, tokenizers, lengths."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Self

from pydantic import PositiveInt, model_validator

from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Tokenizer, load_tokenizer
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.tasks.family import Description
from hardpp.tasks.sequence_decoding import ALLOWANCE


class PairsDescription(Description):
    """Vocabularies of the training part, tokenizers, lengths, and the data's fingerprint."""

    source_vocabulary: list[str]
    target_vocabulary: list[str]
    target_counts: list[int]  # one more than how often each target symbol occurs
    source_tokens: dict[str, Any]  # as a tokenizer describes itself
    target_tokens: dict[str, Any]
    longest_target: PositiveInt  # symbols
    target_per_source: float  # the most target symbols for one source symbol

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        _, target = self.vocabularies
        if len(self.target_counts) != len(target):
            raise ValueError(f"{len(self.target_counts)} target_counts of {len(target)} target symbols")
        try:
            _ = self.tokenizers
        except (KeyError, TypeError) as error:
            raise ValueError(f"there is no such tokenizer: {error}") from error
        return self

    @cached_property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """Of source and target."""
        return Vocabulary(tuple(self.source_vocabulary)), Vocabulary(tuple(self.target_vocabulary))

    @cached_property
    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """Of source and target."""
        return load_tokenizer(self.source_tokens), load_tokenizer(self.target_tokens)


def target_counts(pairs: Iterable[Pair], vocabulary: Vocabulary) -> list[int]:
    """One more than how often each symbol occurs in the targets, end marks included."""
    counts = Counter(id for pair in pairs for id in (*vocabulary.encode(pair.target), BOUNDARY))
    return [1 + counts[id] for id in range(len(vocabulary))]


def describe(corpus: Corpus) -> PairsDescription:
    """The description of a corpus."""
    source, target = (
        Vocabulary.of(getattr(pair, side) for pair in corpus.train) for side in ("source", "target")
    )
    return PairsDescription(
        source_vocabulary=list(source.symbols),
        target_vocabulary=list(target.symbols),
        target_counts=target_counts(corpus.train, target),
        source_tokens=corpus.source.describe(),
        target_tokens=corpus.target.describe(),
        longest_target=max(len(pair.target) for pair in corpus.train),
        target_per_source=max(
            max(1.0, (len(pair.target) - ALLOWANCE) / len(pair.source)) for pair in corpus.train
        ),
        fingerprint=corpus.fingerprint(),
    )
