"""Pairs as a run's programs take them: encoded, in batches of like length, which know whose they are.

Shapes: B data, T output steps, S source positions, end marks included in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hardpp.data.order import in_order
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.tokenizers import Tokenizer, load_tokenizer
from hardpp.data.vocabulary import END, Vocabulary
from hardpp.errors import DataError
from hardpp.tasks.family import Run
from hardpp.types import SequenceBatch

BATCH = 100  # pairs read at once: wide enough to be quick, narrow enough for large vocabularies


def positions(pair: Pair) -> tuple[str, ...]:
    """What stands at every source position of a pair, the end mark last."""
    return (*pair.source, END)


def vocabularies(description: Mapping[str, Any]) -> tuple[Vocabulary, Vocabulary]:
    """Source and target vocabulary of a run's description."""
    source, target = (tuple(description[f"{side}_vocabulary"]) for side in ("source", "target"))
    return Vocabulary(source), Vocabulary(target)


def tokenizers(description: Mapping[str, Any]) -> tuple[Tokenizer, Tokenizer]:
    """How a run's sources and targets are cut."""
    return load_tokenizer(description["source_tokens"]), load_tokenizer(description["target_tokens"])


def ordered_batches(
    pairs: Sequence[Pair], description: Mapping[str, Any], batch_size: int
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches of like length, each with the indices of its pairs."""
    items = encode(pairs, *vocabularies(description))
    for indices in in_order([len(item.source) for item in items], batch_size):
        yield indices, collate([items[index] for index in indices])


def batches(run: Run, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches on the run's device, with the indices of each batch.

    Raises:
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs in this part of the data")
    for indices, batch in ordered_batches(pairs, run.description, BATCH):
        yield indices, batch.to(run.device)
