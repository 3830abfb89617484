"""A Markov chain over alignments: q(alignment | source, target), each step given the one before it.

    q(z | x, y) prop. to exp(sum_t scores[t, z[t]] + sum_t>0 move[z[t] - z[t-1]])

The scores are those of a mean-field guide, which reads all of source and target. Moves have a score for each
distance, 0 at the start, so at first the chain is the mean-field guide. A chain that may not go backwards is
*monotone*. Draws, log q and the marginals are exact (`hardpp.ops.position_chain`).

For `LatentAlignment` the exact posterior factorises over steps, and no chain can be closer to it than the
best mean-field guide; what a chain adds is what neighbouring steps tell of one another while the scores are
still poor. A monotone chain cannot come close where the posterior goes backwards.

Source: Vogel, Ney and Tillmann (1996), HMM-Based Word Alignment, for moves by distance; Raffel et al. (2017),
Online and Linear-Time Attention by Enforcing Monotonic Alignments.
Shapes: B data, S source positions, T steps; ... = dims inference adds on the left.
"""

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical_path import CategoricalPath
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.ops.position_chain import Chain, chain_marginals, normalised_chain
from hardpp.types import SequenceBatch


class MarkovAlignment(PyroModule):
    """alignment[b] ~ the chain above; all steps are one event.

    Args:
        steps: a mean-field guide; it gives the scores.
        reach: the largest distance with a score of its own, in both directions.
        backwards: may it go back? If not, it is monotone.
    """

    max_plate_nesting = 1  # data
    joined_plate = sites.STEPS  # of the model

    def __init__(self, steps: StepwiseAlignment, reach: int, *, backwards: bool = True):
        super().__init__()
        self.steps, self.reach, self.backwards = steps, reach, backwards
        self.move = nn.Parameter(torch.zeros(2 * reach + 1 if backwards else reach + 1))

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the alignments, (..., B, T)."""
        scores = self.steps.scores(batch)
        chain = normalised_chain(scores, self.moves(scores.shape[-1]), batch.target_mask)
        path = CategoricalPath(_ChainSteps(chain), batch.target_mask, scores.shape[-1])
        with sites.sentences(batch.size, str(batch.target.device)):
            return pyro.sample(sites.ALIGNMENT, path)

    def moves(self, positions: int) -> Tensor:
        """The scores of moves between S positions, (1, S, S); minus infinity if they may not be."""
        place = torch.arange(positions, device=self.move.device)
        distance = place - place.unsqueeze(-1)
        least = -self.reach if self.backwards else 0
        scores = self.move[distance.clamp(least, self.reach) - least]
        allowed = distance >= (-positions if self.backwards else 0)
        return scores.masked_fill(~allowed, -torch.inf).unsqueeze(0)


class _ChainSteps:
    """The steps of a Markov chain; a `hardpp.distributions.categorical_path.Stepper`."""

    def __init__(self, chain: Chain):
        self.chain = chain
        B, later = chain.moves.shape[:2]
        self.row = torch.arange(B, device=chain.first.device)
        self.later = torch.arange(later, device=chain.first.device)

    def logits(self, positions: Tensor) -> Tensor:
        rows = positions.shape[:-1]
        before = positions[..., :-1]
        moves = self.chain.moves[self.row.unsqueeze(-1), self.later, before]  # (..., B, T - 1, S)
        first = self.chain.first.expand(*rows, -1).unsqueeze(-2)
        return torch.cat([first, moves], -2)

    def start(self, rows: torch.Size) -> None:
        return None

    def step(self, number: int, last: Tensor, state: None) -> tuple[Tensor, None]:
        if number == 0:
            return self.chain.first.expand(*last.shape, -1), None
        return self.chain.moves[:, number - 1][self.row, last], None

    def marginals(self) -> Tensor:
        return chain_marginals(self.chain)
