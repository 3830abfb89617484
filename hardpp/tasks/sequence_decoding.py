"""How runs whose targets are sequences look for the best one."""

from pydantic import Field

from hardpp.config import Section
from hardpp.inference.soft_attention import SoftAttention
from hardpp.tasks.family import Run
from hardpp.types import Prediction

ALLOWANCE = 10  # symbols that a target may be longer: short sources turn into targets of any ratio


class SequenceDecoding(Section):
    """How the best target of a source is looked for."""

    beam: int = Field(5, ge=1, description="hypotheses kept; 1 is greedy")
    keep: int | None = Field(None, ge=1, description="source positions read out (K-max); left out: all")
    length_penalty: float = Field(
        0.0, ge=0, description="divides log p by ((5 + length) / 6) ** penalty (GNMT); 0: no"
    )


def predictive(run: Run) -> Prediction:
    """How the run's model predicts: "expected" if it was trained on expected alignments, else "marginal"."""
    return "expected" if run.config.objective == SoftAttention.name else "marginal"
