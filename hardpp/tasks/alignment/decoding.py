"""What a run says of sources: decoded symbols, as its model predicts them."""

import math
from collections.abc import Sequence

from hardpp.data.transduction.pairs import Pair
from hardpp.tasks.alignment.batches import batches
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import ALLOWANCE, SequenceDecoding, best_sequences

GREEDY = SequenceDecoding(beam=1)


def decode(run: OpenedRun, pairs: Sequence[Pair], options: SequenceDecoding = GREEDY) -> list[list[str]]:
    """The most probable target of every source: greedy, or the best of a beam."""
    outputs: list[list[str]] = [[] for _ in pairs]
    _, vocabulary = run.description.vocabularies
    for indices, batch in batches(run, pairs):
        max_steps = longest(run.description, batch.source.shape[1])
        for index, symbols in zip(indices, best_sequences(run, batch, options, max_steps), strict=True):
            outputs[index] = vocabulary.decode(symbols)
    return outputs


def longest(description: PairsDescription, source: int) -> int:
    """How many symbols a target may have, its end mark included, for a source of so many positions.

    Half as much again as training targets had, for such sources and at most, and a few more.
    """
    most = min(description.target_per_source * source, description.longest_target)
    return math.ceil(1.5 * most) + ALLOWANCE
