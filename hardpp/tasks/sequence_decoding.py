"""How runs whose targets are sequences search for the best one."""

from typing import Any

from pydantic import Field

from hardpp.config import Section
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

ALLOWANCE = 10  # symbols that a target may be longer: short sources turn into targets of any ratio


class SequenceDecoding(Section):
    """How the best target of a source is searched for."""

    beam: int = Field(5, ge=1, description="hypotheses kept; 1 is greedy")
    keep: int | None = Field(None, ge=1, description="source positions read out (K-max); left out: all")
    length_penalty: float = Field(
        0.0, ge=0, le=10, description="divides log p by ((5 + length) / 6) ** penalty (GNMT); 0: no"
    )


def best_sequences(
    run: OpenedRun, batch: SequenceBatch, options: SequenceDecoding, max_steps: int
) -> list[list[int]]:
    """Symbols of the most probable target of every source in a batch, as the run's objective predicts."""
    model: Any = run.programs.model  # any program with `read`, `step` and `readout`
    how: Any = {"max_steps": max_steps, "prediction": run.objective.prediction, "keep": options.keep}
    if options.beam == 1:
        return greedy(model, batch.source, batch.source_mask, **how)
    how |= {"width": options.beam, "length_penalty": options.length_penalty}
    ranked = beam_search(model, batch.source, batch.source_mask, **how)
    return [hypotheses[0].symbols for hypotheses in ranked]
