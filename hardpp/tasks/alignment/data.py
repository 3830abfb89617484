"""Pairs as a run's programs take them: what a run keeps of its data, and batches that know whose they are.

Shapes: B data, T output steps, S source positions, end marks included in both.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from hardpp.data.order import in_order
from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.tokenizers import Tokenizer, load_tokenizer
from hardpp.data.vocabulary import BOUNDARY, END, Vocabulary
from hardpp.tasks.family import Description
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

BATCH = 100  # pairs read at once: wide enough to be quick, narrow enough for large vocabularies


class PairsDescription(Description):
    """Vocabularies of the training part, tokenizers and lengths."""

    source_vocabulary: list[str]
    target_vocabulary: list[str]
    target_counts: list[int]  # one more than how often each target symbol occurs
    source_tokens: dict[str, Any]  # as a tokenizer describes itself
    target_tokens: dict[str, Any]
    longest_target: int  # symbols
    target_per_source: float  # the most target symbols for one source symbol

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


def batches(run: OpenedRun, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches of like length on the run's device, each with the indices of its pairs."""
    for indices in in_order([len(pair.source) for pair in pairs], BATCH) or [[]]:  # none are refused
        yield indices, run.batch([pairs[index] for index in indices])


def positions(pair: Pair) -> tuple[str, ...]:
    """The symbol at every source position of a pair, the end mark last."""
    return (*pair.source, END)
