"""An autoregressive guide over alignments: q(alignment | source, target), each step given all before it.

    q(z[t] | z[<t], x, y) = softmax(scorer(target[t] + W h[t], source))
    h[t] = LSTM(source[z[t-1]], target[t], h[t-1])

`source` and `target` are the states of a mean-field guide, which reads both sequences from both ends. Drawing
is a loop over steps; scoring is one pass. No form of dependence is ruled out, and no sum over paths is known:
marginals are known by draws alone.

Source: Lawson et al. (2018), Learning Hard Alignments with Variational Inference, section 2.2, whose guide
reads its earlier choices likewise.
Shapes: B data, S source positions, T steps, M and Q features of source and target, H of the LSTM; ... = dims
inference adds on the left.
"""

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.categorical_path import CategoricalPath
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.nn.attention import Scorer, attend
from hardpp.nn.recurrent import Cells, StepwiseLSTM
from hardpp.types import SequenceBatch


class AutoregressiveAlignment(PyroModule):
    """alignment[b] ~ as above; all steps are one event.

    Args:
        steps: a mean-field guide; it gives states and scorer.
        recurrence: over M + Q features.
        query: what it has read (..., H) -> (..., Q), which is added to the states of the target.
    """

    max_plate_nesting = 1  # data
    joined_plate = sites.STEPS  # of the model

    def __init__(self, steps: StepwiseAlignment, recurrence: StepwiseLSTM, query: nn.Module):
        super().__init__()
        self.steps, self.recurrence, self.query = steps, recurrence, query

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the alignments, (..., B, T)."""
        reader = _RecurrentSteps(self, *self.steps.states(batch), batch.source_mask)
        path = CategoricalPath(reader, batch.target_mask, batch.source.shape[1])
        with sites.sentences(batch.size, str(batch.target.device)):
            return pyro.sample(sites.ALIGNMENT, path)


class _RecurrentSteps:
    """Reads along paths of one batch; a `hardpp.distributions.categorical_path.Stepper`.

    Args:
        guide: whose networks read.
        target, source: states (B, T, Q) and (B, S, M).
        mask: of the source, (B, S) bool.
    """

    def __init__(self, guide: AutoregressiveAlignment, target: Tensor, source: Tensor, mask: Tensor):
        self.guide, self.target, self.source, self.mask = guide, target, source, mask
        self.scorer: Scorer = guide.steps.scorer
        self.keys = self.scorer.keys(source)

    def logits(self, positions: Tensor) -> Tensor:
        before = pad(attend(self.source, positions[..., :-1]), (0, 0, 1, 0))  # (..., B, T, M), first 0
        inputs = torch.cat([before, self.target.expand(*before.shape[:-1], -1)], -1)
        return self._scored(self.target, self.guide.recurrence(inputs))

    def start(self, rows: torch.Size) -> Cells:
        return self.guide.recurrence.start(rows)

    def step(self, number: int, last: Tensor, state: Cells) -> tuple[Tensor, Cells]:
        before = attend(self.source, last.unsqueeze(-1)).squeeze(-2)  # (..., B, M)
        before = torch.zeros_like(before) if number == 0 else before
        target = self.target[:, number]
        features, state = self.guide.recurrence.step(
            torch.cat([before, target.expand(*before.shape[:-1], -1)], -1), state
        )
        return self._scored(target.unsqueeze(-2), features.unsqueeze(-2)).squeeze(-2), state

    def _scored(self, target: Tensor, features: Tensor) -> Tensor:
        return self.scorer(target + self.guide.query(features), self.keys, self.mask).log_softmax(-1)
