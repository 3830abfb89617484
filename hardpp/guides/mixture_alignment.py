"""A mixture of mean-field guides over alignments: q(alignment | source, target) with M ways to read a pair.

    q(z | x, y) = sum_m weight[m] prod_t q_m(z[t]),    weight = softmax(W mean of the target's states)

The component is of the whole pair and is summed out of log q, so no site is added: steps depend on one
another through what the earlier ones tell of the component,

    q(z[t] | z[<t]) = sum_m p(m | z[<t]) q_m(z[t]).

Source: Jaakkola and Jordan (1998), Improving the Mean Field Approximation via the Use of Mixture
Distributions.
Shapes: B data, S source positions, T steps, M components, Q features of the target; ... = dims inference
adds on the left.
"""

from collections.abc import Sequence

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.categorical_path import CategoricalPath
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.nn.attention import Scorer
from hardpp.ops.marginal import IMPOSSIBLE, log_sum
from hardpp.types import SequenceBatch


class MixtureAlignment(PyroModule):
    """alignment[b] ~ the mixture above; all steps are one event.

    Args:
        steps: a mean-field guide, the first component; the others read the same states.
        others: the scorers of the other components, at least one.
        weights: a state (B, Q) of the target -> scores of the components (B, M).
    """

    max_plate_nesting = 1  # data
    joined_plate = sites.STEPS  # of the model

    def __init__(self, steps: StepwiseAlignment, others: Sequence[Scorer], weights: nn.Module):
        super().__init__()
        self.steps, self.weights = steps, weights
        self.others = nn.ModuleList(others)  # type: ignore[arg-type]

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the alignments, (..., B, T)."""
        target, source = self.steps.states(batch)
        scorers: list[Scorer] = [self.steps.scorer, *self.others]
        scores = [scorer(target, scorer.keys(source), batch.source_mask) for scorer in scorers]
        mask = batch.target_mask.unsqueeze(-1)
        mean = target.where(mask, target.new_zeros(())).sum(1) / mask.sum(1)  # (B, Q)
        steps = _MixtureSteps(self.weights(mean).log_softmax(-1), torch.stack(scores, 1).log_softmax(-1))
        path = CategoricalPath(steps, batch.target_mask, scores[0].shape[-1])
        with sites.sentences(batch.size, str(batch.target.device)):
            return pyro.sample(sites.ALIGNMENT, path)


class _MixtureSteps:
    """The steps of a mixture; a `hardpp.distributions.categorical_path.Stepper`.

    Args:
        weights: log-probabilities of the components, (B, M).
        components: their log-probabilities of positions, (B, M, T, S).
    """

    def __init__(self, weights: Tensor, components: Tensor):
        self.weights, self.components = weights, components

    def logits(self, positions: Tensor) -> Tensor:
        B, M, T, S = self.components.shape
        index = positions[..., None, :, None].expand(*positions.shape[:-1], M, T, 1)
        terms = self.components.expand(*positions.shape[:-2], B, M, T, S).gather(-1, index).squeeze(-1)
        before = pad(terms[..., :-1].cumsum(-1), (1, 0))  # (..., B, M, T)
        return self._mixed(self.weights.unsqueeze(-1) + before, self.components)

    def start(self, rows: torch.Size) -> Tensor:
        return self.weights.expand(*rows, -1)

    def step(self, number: int, last: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if number:
            before = self.components[:, :, number - 1].expand(*state.shape, -1)  # (..., B, M, S)
            index = last[..., None, None].expand(*state.shape, 1)
            state = state + before.gather(-1, index).squeeze(-1)
        return self._mixed(state.unsqueeze(-1), self.components[:, :, number, None]).squeeze(-2), state

    def marginals(self) -> Tensor:
        return self._mixed(self.weights.unsqueeze(-1), self.components)

    # Positions given weights (..., B, M, T) of components (B, M, T, S), which need not be normalised: after a
    # position that no component has, they are all minus infinity.
    def _mixed(self, weights: Tensor, components: Tensor) -> Tensor:
        return log_sum(weights.clamp_min(IMPOSSIBLE).log_softmax(-2).unsqueeze(-1) + components, [-3])
