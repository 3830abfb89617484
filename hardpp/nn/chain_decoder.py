"""A decoder whose attention is a hidden Markov model: it keeps a belief about its place in the source.

    A[t, r, s] ~ exp(leave[r, s - r] + arrive[s] + history[t, s - r])      from place r to position s
    scores[t]  = log sum_r belief[t, r] A[t, r, .]

The belief is the exact posterior of the chain given the symbols so far (`hardpp.ops.chain`). So each step's
scores depend on earlier symbols only, and a program that draws them step by step has the likelihood of the
hidden Markov model. A move depends on the word it leaves, the word it goes to, the distance (beyond the reach
it counts as the reach) and the two symbols before. The end mark keeps the place.

Source: Vogel, Ney and Tillmann (1996), HMM-Based Word Alignment; with scores by networks, Wang et al. (2018),
Neural Hidden Markov Model for Machine Translation; for the belief, Shankar and Sarawagi (2018), Posterior
Attention Models.

Shapes: B data, T steps, S source positions, 1 + S places (the first before the source), D = 2 reach + 1
distances, M memory features, Q query features, V symbols.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp.nn.dropout import Dropout
from hardpp.nn.lexical import LexicalReadout
from hardpp.ops import chain
from hardpp.ops.linear_log_softmax import linear_log_softmax
from hardpp.ops.marginal import IMPOSSIBLE

NEARER = 0.3  # nats that a position loses at first for each one it is further away
END = -4.0  # nats of the end mark at first


class ChainState(NamedTuple):
    """The state between two steps; every part has B rows."""

    belief: Tensor  # (B, 1 + S) before the last step
    transition: Tensor | None  # (B, 1 + S, S) of the last step; None before the first
    last: Tensor  # (B,) the symbol before the last step

    def select(self, rows: Tensor) -> "ChainState":
        """The same state for other rows, (R,) int64, as a beam reorders its hypotheses."""
        transition = None if self.transition is None else self.transition[rows]
        return ChainState(self.belief[rows], transition, self.last[rows])


class MoveScorer(nn.Module):
    """The scores leave[s, distance] and arrive[s] of a memory.

    At first all words have the same scores, near positions are likelier than far ones, and the end mark is
    unlikely: otherwise it would explain everything before words have been told apart.
    """

    def __init__(self, memory: int, reach: int):
        super().__init__()
        near = -NEARER * (torch.arange(-reach, reach + 1) - 1).abs()  # the next position is likeliest
        self.key = nn.Linear(memory, len(near) + 1)
        self.before = nn.Parameter(near.clone())  # `leave` of the place before the source
        self.end = nn.Parameter(torch.tensor(END))
        with torch.no_grad():
            self.key.weight.zero_()
            self.key.bias.copy_(pad(near, (0, 1)))

    def keys(self, memory: Tensor) -> Tensor:
        """The scores of a memory (B, S, M), (B, S, D + 1): `leave` by distance, and `arrive`."""
        return self.key(memory)

    def arrive(self, keys: Tensor, mask: Tensor) -> Tensor:
        """The scores of going to every position, (B, S)."""
        return keys[..., -1] + self.end * end_mark(mask)

    def leave(self, keys: Tensor) -> Tensor:
        """The scores of leaving every place by every distance, (B, 1 + S, D)."""
        return torch.cat([self.before.expand(keys.shape[0], 1, -1), keys[..., :-1]], 1)


class ChainDecoder(nn.Module):
    """Scores of source positions by a chain of moves; the query is the history of symbols.

    Args:
        symbols: V.
        readout: gives the logits of symbols at a position; it must not use the query.
        memory: M.
        reach: the largest distance with a score of its own, in both directions.
        history: features of a previous symbol.
        dropout: of previous symbols as a whole.
    """

    def __init__(
        self, symbols: int, readout: LexicalReadout, memory: int, reach: int, history: int, dropout: float
    ):
        super().__init__()
        self.embedding = nn.Identity()  # steps take the symbols as they are
        self.moves = MoveScorer(memory, reach)
        self.readout = readout
        self.symbol = nn.Embedding(symbols, history)
        self.move = nn.Linear(2 * history, 2 * reach + 1, bias=False)
        nn.init.zeros_(self.move.weight)
        self.dropout = Dropout(dropout, rows=True)
        self.reach = reach

    @property
    def scorer(self) -> "ChainDecoder":
        """The decoder itself: it computes the keys of a memory."""
        return self

    def keys(self, memory: Tensor) -> Tensor:
        """The keys of a memory (B, S, M), (B, S, D + 2): log normalisers last."""
        first = torch.zeros(memory.shape[0], 1, dtype=torch.int64, device=memory.device)
        normaliser = self._logits(first, memory) - self._log_probs(first, memory)  # (B, S, 1)
        return torch.cat([self.moves.keys(memory), normaliser], -1)

    def start(self, memory: Tensor) -> ChainState:
        B = memory.shape[0]
        nowhere = torch.zeros(memory.shape[:2], dtype=torch.bool, device=memory.device)
        belief = chain.start(nowhere).to(memory.dtype)
        return ChainState(belief, None, torch.zeros(B, dtype=torch.int64, device=memory.device))

    def step(
        self, symbol: Tensor, memory: Tensor, keys: Tensor, mask: Tensor, state: ChainState
    ) -> tuple[Tensor, Tensor, ChainState]:
        """One symbol further, of previous symbols (B,): query (B, Q), scores (B, S), next state."""
        belief = state.belief
        if state.transition is not None:
            emission = (self._logits(symbol.unsqueeze(-1), memory) - keys[..., -1:]).squeeze(-1)
            emission = emission.masked_fill(~mask, 0.0)
            belief = chain.updated(belief, state.transition, emission, end_mark(mask))
        last = state.last if state.transition is not None else symbol
        query = self._history(torch.stack([last, symbol], 1))[:, 1:]  # (B, 1, Q)
        transition = self._transition(query, keys[..., :-1], mask)[:, 0]
        scores = chain.prior(belief, transition).masked_fill(~mask, -torch.inf)
        return query.squeeze(1), scores, ChainState(belief, transition, symbol)

    def forward(self, previous: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        query = self._history(previous)
        transition = self._transition(query, self.moves.keys(memory), mask)
        emission = self.emission(previous[:, 1:], memory, mask)
        scores, _ = chain.filtered(transition, emission, end_mark(mask))
        return query, scores.masked_fill(~mask.unsqueeze(-2), -torch.inf)

    def smoothed(
        self, target: Tensor, target_mask: Tensor, memory: Tensor, mask: Tensor, boundary: int
    ) -> Tensor:
        """Log-probabilities (B, T, S) of each step's position, given the whole target (B, T)."""
        query = self._history(pad(target[:, :-1], (1, 0), value=boundary))
        transition = self._transition(query, self.moves.keys(memory), mask)
        emission = self.emission(target, memory, mask).masked_fill(~target_mask.unsqueeze(-1), 0.0)
        return chain.smoothed(transition, emission, end_mark(mask)).masked_fill(
            ~mask.unsqueeze(-2), -torch.inf
        )

    def emission(self, symbols: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """log p(symbol | position) of symbols (B, T) at all positions, (B, T, S); 0 at padding."""
        log_probs = self._log_probs(symbols, memory).transpose(-1, -2)
        return log_probs.masked_fill(~mask.unsqueeze(-2), 0.0)

    # log p(symbol | position) and its logit, of symbols (B, T): (B, S, T).
    def _log_probs(self, symbols: Tensor, memory: Tensor) -> Tensor:
        features, last = self.readout.features(memory, memory).unsqueeze(-2), self.readout.symbols
        return linear_log_softmax(features, last.weight, last.bias, symbols.unsqueeze(-2))

    def _logits(self, symbols: Tensor, memory: Tensor) -> Tensor:
        features, last = self.readout.features(memory, memory), self.readout.symbols
        return features @ last.weight[symbols].transpose(-1, -2) + last.bias[symbols].unsqueeze(-2)

    # The features of the symbol before each step and of the one before that, (B, T, Q).
    def _history(self, previous: Tensor) -> Tensor:
        features = self.dropout(self.symbol(previous))
        return torch.cat([features, torch.cat([features[:, :1], features[:, :-1]], 1)], -1)

    # Log-probabilities of moves (B, T, 1 + S, S).
    def _transition(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        S = mask.shape[-1]
        place = torch.arange(-1, S, device=mask.device).unsqueeze(-1)  # (1 + S, 1)
        distance = torch.arange(S, device=mask.device) - place  # (1 + S, S)
        distance = distance.clamp(-self.reach, self.reach) + self.reach
        B, T = query.shape[:2]
        shape = B, T, *distance.shape
        by_word = self.moves.leave(keys).gather(-1, distance.expand(B, -1, -1))  # (B, 1 + S, S)
        by_history = self.move(query)[..., distance.flatten()].reshape(shape)
        by_word = by_word + self.moves.arrive(keys, mask).unsqueeze(-2)
        scores = by_word.unsqueeze(1) + by_history
        return scores.masked_fill(~mask[:, None, None], IMPOSSIBLE).log_softmax(-1)


def end_mark(mask: Tensor) -> Tensor:
    """The last position of every source, (B, S) bool, of its right-padded mask."""
    return mask & ~pad(mask[:, 1:], (0, 1))
