"""The mean-field guide over alignments, q(alignment | source, target), independent at each step.

A guide opens the same plates and samples the same sites as its model. Unlike the model it may read the whole
target. For `LatentAlignment` the exact posterior factorises over steps, so this family contains it: a
remaining gap is due to amortisation or optimisation.

Source: Deng et al. (2018), section 3; their inference network for translation.
Shapes: B data, S source positions, T steps; ... = dims inference adds on the left.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.attention import Scorer
from hardpp.types import SequenceBatch


class StepwiseAlignment(PyroModule):
    """alignment[b, t] ~ Categorical(scorer(target state[b, t], source states[b])).

    Args:
        source_embedding, target_embedding: symbols (B, S) or (B, T) -> (..., E); usually the model's.
        source_reader, target_reader: embedded symbols and mask -> states (B, S, .) or (B, T, .); each
            may depend on the whole sequence.
        scorer: target states, `scorer.keys(source states)` and source mask -> scores (B, T, S).
    """

    max_plate_nesting = 2  # data, steps
    scorer: Scorer

    def __init__(
        self,
        source_embedding: nn.Module,
        target_embedding: nn.Module,
        source_reader: nn.Module,
        target_reader: nn.Module,
        scorer: Scorer,
    ):
        super().__init__()
        self.source_embedding, self.target_embedding = source_embedding, target_embedding
        self.source_reader, self.target_reader, self.scorer = source_reader, target_reader, scorer

    def states(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """What the guide reads of the target, (B, T, .), and of the source, (B, S, .)."""
        source = self.source_reader(self.source_embedding(batch.source), batch.source_mask)
        return self.target_reader(self.target_embedding(batch.target), batch.target_mask), source

    def scores(self, batch: SequenceBatch) -> Tensor:
        """The scores of positions at every step, (B, T, S); minus infinity at padded positions."""
        target, source = self.states(batch)
        scorer = self.scorer  # Pyro announces the parameters of a module each time it is asked for
        return scorer(target, scorer.keys(source), batch.source_mask)

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the alignments, (..., B, T)."""
        scores = self.scores(batch)
        with sites.output_steps(batch.target_mask):
            return pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))
