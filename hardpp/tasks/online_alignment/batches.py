"""Utterances as a run's programs take them: in batches of like length, which know whose they are.

Shapes: B utterances, S frames, T tokens (the end mark included).
"""

from collections.abc import Iterator, Sequence

from hardpp.data.batches import in_order
from hardpp.data.speech.batches import collate
from hardpp.data.speech.utterances import Utterance
from hardpp.errors import DataError
from hardpp.tasks.online_alignment.description import SpeechDescription
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

EMPTY = "there are no utterances in this part of the data"
BATCH = 50  # utterances read at once when a run is asked about them


def ordered_batches(
    utterances: Sequence[Utterance], description: SpeechDescription
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All utterances in batches of like length, each with the indices of its utterances.

    Raises:
        DataError: there are no utterances.
    """
    if not utterances:
        raise DataError(EMPTY)
    for indices in in_order([utterance.length for utterance in utterances], BATCH):
        yield indices, collate([utterances[index] for index in indices], description.vocabulary)


def batches(run: OpenedRun, utterances: Sequence[Utterance]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """The same on the run's device."""
    for indices, batch in ordered_batches(utterances, run.description):
        yield indices, batch.to(run.device)
