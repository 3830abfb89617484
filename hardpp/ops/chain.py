"""Filtering and smoothing of a hidden Markov model over source positions.

At every step the alignment z goes from the chain's place r to a position s, and a symbol is emitted there.
The position then is the chain's place, except for positions that keep the old place (the end mark, which
stands for no word). Given the symbols y,

    prior[t, s]     = sum_r belief[t, r] A[t, r, s]                              p(z[t] = s | y[<t])
    belief[t+1, r'] ~ sum_{r, s -> r'} belief[t, r] A[t, r, s] f[t, s]           p(place r' | y[<=t])
    smoothed[t, s]  ~ sum_r belief[t, r] A[t, r, s] f[t, s] ahead[t+1, r']       p(z[t] = s | y)
    ahead[t, r]     = sum_s A[t, r, s] f[t, s] ahead[t+1, r']                    p(y[>=t] | place r)

The product over steps of sum_s prior[t, s] f[t, s] is p(y), summed over all chains. So a program that draws
each step independently from prior[t] has the likelihood of the chain, though its posterior does not know
later symbols; the smoothed positions are the chain's own posterior.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III; for alignments, Vogel, Ney and
Tillmann (1996); keeping the place over an empty word, Och and Ney (2003), section 2.1.1. The first two lines
are posterior attention (Shankar and Sarawagi 2018) with a mixture of transitions.

All values are logarithms. Shapes: B data, T steps, S positions; 1 + S places, the first before all positions.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.ops.marginal import IMPOSSIBLE, log_sum


def start(keeps: Tensor) -> Tensor:
    """The belief before the first step, (B, 1 + S): surely before all positions. `keeps` is (B, S) bool."""
    places = torch.zeros(keeps.shape[0], 1 + keeps.shape[1], device=keeps.device)
    places[:, 1:] = IMPOSSIBLE
    return places


def prior(belief: Tensor, transition: Tensor) -> Tensor:
    """The next position's prior (B, S), from belief (B, 1 + S) and transition (B, 1 + S, S)."""
    return log_sum(belief.unsqueeze(-1) + transition, [-2])


def updated(belief: Tensor, transition: Tensor, emission: Tensor, keeps: Tensor) -> Tensor:
    """The belief (B, 1 + S) after a step, given its symbol; normalised, as the belief before is.

    Args:
        belief: (B, 1 + S).
        transition: (B, 1 + S, S), normalised over S; minus infinity forbids a move.
        emission: (B, S), the symbol's log-likelihood at every position.
        keeps: (B, S) bool, positions that keep the place as it was.
    """
    joint = belief.unsqueeze(-1) + transition + emission.unsqueeze(-2)  # (B, 1 + S, S)
    stays = keeps.unsqueeze(-2)
    moved = log_sum(joint.masked_fill(stays, IMPOSSIBLE), [-2])  # (B, S)
    stayed = log_sum(joint.masked_fill(~stays, IMPOSSIBLE), [-1])  # (B, 1 + S)
    return torch.logaddexp(pad(moved, (1, 0), value=IMPOSSIBLE), stayed).log_softmax(-1)


def filtered(transition: Tensor, emission: Tensor, keeps: Tensor) -> tuple[Tensor, Tensor]:
    """The prior (B, T, S) of each step and the belief (B, T, 1 + S) before it, by the forward recursion.

    Arguments as for `updated`, with a dim T after B; the emission of the last step may be left out.
    """
    belief = start(keeps).to(transition.dtype)
    priors, beliefs = [], []
    for t in range(transition.shape[1]):
        if t:
            belief = updated(belief, transition[:, t - 1], emission[:, t - 1], keeps)
        beliefs.append(belief)
        priors.append(prior(belief, transition[:, t]))
    return torch.stack(priors, 1), torch.stack(beliefs, 1)


def smoothed(transition: Tensor, emission: Tensor, keeps: Tensor) -> Tensor:
    """The posterior (B, T, S) of each position given the symbols of all steps; normalised.

    Arguments as for `filtered`; emissions of padding are zero.
    """
    _, belief = filtered(transition, emission, keeps)  # (B, T, 1 + S)
    stays = keeps.unsqueeze(-2)
    ahead = torch.zeros_like(belief[:, 0])  # (B, 1 + S)
    posteriors = []
    for t in reversed(range(transition.shape[1])):
        standing = torch.where(stays, ahead.unsqueeze(-1), ahead[:, 1:].unsqueeze(-2))  # (B, 1 + S, S)
        onward = transition[:, t] + emission[:, t].unsqueeze(-2) + standing
        posteriors.append(log_sum(belief[:, t].unsqueeze(-1) + onward, [-2]).log_softmax(-1))
        ahead = log_sum(onward, [-1])
    return torch.stack(posteriors[::-1], 1)
