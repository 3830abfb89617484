"""What a run keeps of its pairs, and the batches in which it is asked about them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import ceil
from typing import Any, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from hardpp.data.batches import in_order
from hardpp.data.transduction.packed_pairs import SideCounts
from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.tokenizers import Tokenizer, load_tokenizer
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.tasks.family import Description
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import ALLOWANCE
from hardpp.types import SequenceBatch

BATCH = 100  # pairs read at once: wide enough to be quick, narrow enough for large vocabularies


class PairsDescription(Description):
    """Vocabularies of the training part, tokenizers and lengths."""

    source_vocabulary: list[str]
    target_vocabulary: list[str]
    target_counts: list[int]  # one more than how often each target symbol occurs
    source_tokens: dict[str, Any]  # as a tokenizer describes itself
    target_tokens: dict[str, Any]
    longest_target: PositiveInt  # symbols
    longest_source: NonNegativeInt = 0  # symbols; 0: runs of before do not say it
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

    def longest(self, positions: int) -> int:
        """How many symbols a target may have, its end mark included, for a source of so many positions.

        Half as much again as training targets had, for such sources and at most, and a few more; for a
        source that is longer than any was in training, so many times more.
        """
        most = min(self.target_per_source * positions, self.longest_target)
        longer = (positions - 1) / (self.longest_source or self.longest_target)  # without its end mark
        return ceil(1.5 * most * max(1.0, longer)) + ALLOWANCE


def target_counts(targets: SideCounts, vocabulary: Vocabulary) -> list[int]:
    """One more than how often each symbol occurs in targets, end marks included."""
    counts = Counter({BOUNDARY: len(targets.lengths)})
    for symbol, count in targets.symbols.items():
        counts[vocabulary.encode([symbol])[0]] += count
    return [1 + counts[id] for id in range(len(vocabulary))]


def batches(run: OpenedRun, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches of like length on the run's device, each with the indices of its pairs."""
    lengths = [len(pair.source) for pair in pairs]
    for indices in in_order(lengths, BATCH) or [[]]:  # a batch of none is refused
        yield indices, run.batch([pairs[index] for index in indices])
        run.watch(len(indices))
