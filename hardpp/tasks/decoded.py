"""What a run says of sources: decoded symbols, as its model predicts them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from hardpp.config import Section
from hardpp.data.transduction import Pair
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.decoding.predictive import Predictive
from hardpp.inference.relaxed import SoftAttention
from hardpp.tasks.batching import batches, vocabularies
from hardpp.tasks.task import Run


class SequenceDecoding(Section):
    """How the best target of a source is looked for."""

    beam: int = Field(5, ge=1, description="hypotheses kept; 1 is greedy")
    keep: int | None = Field(None, ge=1, description="source positions read out (K-max); left out: all")
    length_penalty: float = Field(
        0.0, ge=0, description="divides log p by ((5 + length) / 6) ** penalty (GNMT); 0: no"
    )


def predictive(run: Run) -> Predictive:
    """How the run's model predicts: "expected" if it was trained on expected alignments, else "marginal"."""
    return "expected" if run.config.objective == SoftAttention.name else "marginal"


ALLOWANCE = 10  # symbols: short sources turn into targets of any ratio
GREEDY = SequenceDecoding(beam=1)


def decode(run: Run, pairs: Sequence[Pair], how: SequenceDecoding = GREEDY) -> list[list[str]]:
    """The most probable target of every source: greedy, or the best of a beam."""
    out: list[list[str]] = [[] for _ in pairs]
    _, vocabulary = vocabularies(run.description)
    model: Any = run.programs.model  # any program with `read`, `step` and `readout`
    for indices, batch in batches(run, pairs):
        options: dict[str, Any] = {
            "max_steps": longest(run.description, batch.source.shape[1]),
            "predictive": predictive(run),
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
