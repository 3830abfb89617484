"""A Markov chain over positions that is given by scores, and its exact conditionals and marginals.

    p(z) prop. to exp(sum_t scores[t, z[t]] + sum_t>0 moves[z[t-1], z[t]])
    ahead[t, s]           = log sum_r exp(moves[s, r] + scores[t+1, r] + ahead[t+1, r]),    0 at the last step
    log p(z[t] = s | r)   = moves[r, s] + scores[t, s] + ahead[t, s] - ahead[t-1, r]

The scores are of whole paths, so what is likely at a step depends on the scores of later steps too. A draw
from the conditionals, one after the other, is a draw of the chain. On a short last step of a padded batch
nothing lies ahead.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III; Lafferty, McCallum and Pereira
(2001), Conditional Random Fields, for chains of scores.
Shapes: B data, T steps, S positions. All values are logarithms; `IMPOSSIBLE` stands for minus infinity.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.ops.marginal import IMPOSSIBLE, log_sum


class Chain(NamedTuple):
    """The normalised log-probabilities of a Markov chain."""

    first: Tensor  # (B, S) of the first step
    moves: Tensor  # (B, T - 1, S, S) of each later step, from the position before to this one


def normalised_chain(scores: Tensor, moves: Tensor, mask: Tensor) -> Chain:
    """The conditionals of the chain; padded steps keep their scores, and have no say in steps before them.

    Args:
        scores: (B, T, S), minus infinity at padded positions.
        moves: (B or 1, S, S), from one position to the next; minus infinity forbids a move, and every
            position needs one that is allowed.
        mask: (B, T) bool, right-padded.
    """
    scores, moves = scores.clamp_min(IMPOSSIBLE), moves.clamp_min(IMPOSSIBLE)
    ahead = torch.zeros_like(scores[:, 0])  # (B, S)
    conditionals: list[Tensor] = []
    for t in reversed(range(1, scores.shape[1])):
        onward = moves + (scores[:, t] + ahead).unsqueeze(-2)  # (B, S, S)
        conditionals.append(onward.log_softmax(-1))
        ahead = log_sum(onward, [-1]).where(mask[:, t, None], ahead.new_zeros(()))
    first = (scores[:, 0] + ahead).log_softmax(-1)
    if not conditionals:
        return Chain(first, first.new_zeros(len(first), 0, first.shape[-1], first.shape[-1]))
    return Chain(first, torch.stack(conditionals[::-1], 1))


def chain_marginals(chain: Chain) -> Tensor:
    """log p(z[t] = s) of every step, (B, T, S)."""
    marginals = [chain.first]
    for moves in chain.moves.unbind(1):
        marginals.append(log_sum(marginals[-1].unsqueeze(-1) + moves, [-2]))
    return torch.stack(marginals, 1)
