"""A chain of positions, one a step: what is known before a step, and given every step.

At every step an alignment z goes from where the chain stands, r, to a position s, and a symbol is emitted
there. Most positions are then where the chain stands; some keep it where it was (the end mark, which stands
for no word). Given the symbols y and everything else,

    prior[t, s]     = sum_r belief[t, r] A[t, r, s]                              p(z[t] = s | y[<t])
    belief[t+1, r'] ~ sum_{r, s -> r'} belief[t, r] A[t, r, s] f[t, s]           p(stands at r' | y[<=t])
    smoothed[t, s]  ~ sum_r belief[t, r] A[t, r, s] f[t, s] ahead[t+1, r']       p(z[t] = s | y)
    ahead[t, r]     = sum_s A[t, r, s] f[t, s] ahead[t+1, r']                    p(y[>=t] | stands at r)

The product over steps of sum_s prior[t, s] f[t, s] is p(y), all chains summed. So a program whose step t
draws from prior[t] by itself has the likelihood of the chain, though its posterior knows nothing of later
symbols, and the smoothed positions are the chain's own posterior.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, section III; for alignments, Vogel, Ney and
Tillmann (1996); keeping the place over an empty word, Och and Ney (2003), section 2.1.1. The first two lines
are posterior attention (Shankar and Sarawagi 2018) with a mixture of transitions.

All values are logarithms. Shapes: B data, T steps, S positions; R = 1 + S places to stand at, the first of
them before all positions.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.ops.marginal import IMPOSSIBLE, log_sum


def start(keeps: Tensor) -> Tensor:
    """The belief before the first step (B, R): before all positions. `keeps` is (B, S) bool."""
    places = torch.zeros(keeps.shape[0], 1 + keeps.shape[1], device=keeps.device)
    places[:, 1:] = IMPOSSIBLE
    return places


def prior(belief: Tensor, transition: Tensor) -> Tensor:
    """Where the next step looks (B, S), of belief (B, R) and transition (B, R, S)."""
    return log_sum(belief.unsqueeze(-1) + transition, [-2])


def updated(belief: Tensor, transition: Tensor, emission: Tensor, keeps: Tensor) -> Tensor:
    """The belief after a step whose symbol was seen.

    Args:
        belief: (B, R), normalised.
        transition: (B, R, S), normalised over S; minus infinity rules a move out.
        emission: (B, S), the symbol's log-likelihood at every position.
        keeps: (B, S) bool, positions that leave the chain where it was.

    Returns:
        (B, R), normalised.
    """
    joint = belief.unsqueeze(-1) + transition + emission.unsqueeze(-2)  # (B, R, S)
    kept = keeps.unsqueeze(-2)
    moved = log_sum(joint.masked_fill(kept, IMPOSSIBLE), [-2])  # (B, S)
    stayed = log_sum(joint.masked_fill(~kept, IMPOSSIBLE), [-1])  # (B, R)
    return torch.logaddexp(pad(moved, (1, 0), value=IMPOSSIBLE), stayed).log_softmax(-1)


def filtered(transition: Tensor, emission: Tensor, keeps: Tensor) -> tuple[Tensor, Tensor]:
    """Forwards through the steps.

    Args:
        transition: (B, T, R, S).
        emission: (B, T, S) or of fewer steps: the last step's is not needed.
        keeps: (B, S) bool.

    Returns:
        prior (B, T, S) and the belief before each step (B, T, R).
    """
    T = transition.shape[1]
    belief = start(keeps).to(transition.dtype)
    priors, beliefs = [], []
    for t in range(T):
        if t:
            belief = updated(belief, transition[:, t - 1], emission[:, t - 1], keeps)
        beliefs.append(belief)
        priors.append(prior(belief, transition[:, t]))
    return torch.stack(priors, 1), torch.stack(beliefs, 1)


def smoothed(transition: Tensor, emission: Tensor, keeps: Tensor) -> Tensor:
    """Where each step looked given all steps.

    Args:
        transition: (B, T, R, S).
        emission: (B, T, S); zeros at a step that was not (padding).
        keeps: (B, S) bool.

    Returns:
        (B, T, S) normalised.
    """
    _, belief = filtered(transition, emission, keeps)  # (B, T, R)
    kept = keeps.unsqueeze(-2)
    ahead = torch.zeros_like(belief[:, 0])  # (B, R)
    found = []
    for t in reversed(range(transition.shape[1])):
        standing = torch.where(kept, ahead.unsqueeze(-1), ahead[:, 1:].unsqueeze(-2))  # (B, R, S)
        onward = transition[:, t] + emission[:, t].unsqueeze(-2) + standing
        found.append(log_sum(belief[:, t].unsqueeze(-1) + onward, [-2]).log_softmax(-1))
        ahead = log_sum(onward, [-1])
    return torch.stack(found[::-1], 1)
