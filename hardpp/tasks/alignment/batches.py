"""Pairs as a run's programs take them: encoded, in batches of like length, which know whose they are.

Shapes: B data, T output steps, S source positions, end marks included in both.
"""

from collections.abc import Iterator, Sequence

from hardpp.data.batches import in_order
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import END
from hardpp.errors import DataError
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

BATCH = 100  # pairs read at once: wide enough to be quick, narrow enough for large vocabularies


def positions(pair: Pair) -> tuple[str, ...]:
    """The symbol at every source position of a pair, the end mark last."""
    return (*pair.source, END)


def ordered_batches(
    pairs: Sequence[Pair], description: PairsDescription, batch_size: int
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches of like length, each with the indices of its pairs."""
    items = encode(pairs, *description.vocabularies)
    for indices in in_order([len(item.source) for item in items], batch_size):
        yield indices, collate([items[index] for index in indices])


def batches(run: OpenedRun, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All pairs in batches on the run's device, with the indices of each batch.

    Raises:
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs in this part of the data")
    for indices, batch in ordered_batches(pairs, run.description, BATCH):
        yield indices, batch.to(run.device)
