"""What a run says of sources: decoded symbols, as its model predicts them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hardpp.data.transduction.pairs import Pair
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.tasks.alignment.batching import batches, vocabularies
from hardpp.tasks.family import Run
from hardpp.tasks.sequence_decoding import ALLOWANCE, SequenceDecoding, predictive

GREEDY = SequenceDecoding(beam=1)


def decode(run: Run, pairs: Sequence[Pair], how: SequenceDecoding = GREEDY) -> list[list[str]]:
    """The most probable target of every source: greedy, or the best of a beam."""
    out: list[list[str]] = [[] for _ in pairs]
    _, vocabulary = vocabularies(run.description)
    model: Any = run.programs.model  # any program with `read`, `step` and `readout`
    for indices, batch in batches(run, pairs):
        options: dict[str, Any] = {
            "max_steps": longest(run.description, batch.source.shape[1]),
            "prediction": predictive(run),
            "keep": how.keep,
        }
        if how.beam == 1:
            best = greedy(model, batch.source, batch.source_mask, **options)
        else:
            options |= {"width": how.beam, "length_penalty": how.length_penalty}
            ranked = beam_search(model, batch.source, batch.source_mask, **options)
            best = [hypotheses[0].symbols for hypotheses in ranked]
        for index, symbols in zip(indices, best, strict=True):
            out[index] = vocabulary.decode(symbols)
    return out


def longest(description: Mapping[str, Any], source: int) -> int:
    """How many symbols a target may have, its end mark included, for a source of so many positions.

    Half as much again as training targets had, for such sources and at most, and a few more.
    """
    steepest, most = description["target_per_source"], description["longest_target"]
    return math.ceil(1.5 * min(steepest * source, most)) + ALLOWANCE
