"""Beam search: the W most probable prefixes of every output are extended together.

A hypothesis that ends leaves the beam and is kept while it is among the W best that ended. The search of a
source stops when no unfinished hypothesis can still beat the worst of these, so a beam as wide as the number
of candidates finds the best output exactly.

    score = log p(symbols, boundary) / ((5 + length) / 6) ^ penalty      length counts the boundary

Source: Wu et al. (2016), Google's Neural Machine Translation System, section 7 (without coverage).
Shapes: B data, W width, S source positions, T steps, V symbols.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.decoding.greedy import forbidden_symbols
from hardpp.decoding.predictive import Decodable, SourceT, StateT, next_symbol
from hardpp.errors import UsageError
from hardpp.types import Prediction


class Hypothesis(NamedTuple):
    """One output with its probability and score."""

    symbols: list[int]  # without the boundary
    log_prob: float  # nats, of all symbols and of the boundary if it ended
    score: float  # log_prob, or log_prob normalised for length
    ended: bool  # False: cut off at the last step
    stopped: bool = False  # was the likeliest, this or another, unfinished at the last step?


@torch.no_grad()
def beam_search(
    model: Decodable[SourceT, StateT],
    source: Tensor,
    mask: Tensor,
    *,
    width: int,
    max_steps: int,
    prediction: Prediction = "marginal",
    keep: int | None = None,
    tolerance: float = 0.0,
    length_penalty: float = 0.0,
    forbidden: tuple[int, ...] = (1,),
) -> list[list[Hypothesis]]:
    """The best outputs of every source.

    The model is used as it is: put it in evaluation mode first.

    Args:
        model: decodable a step at a time.
        source: (B, S) int64, or whatever else the model reads, data first.
        mask: (B, S) bool.
        width: W, how many hypotheses are extended and kept; 1 is greedy decoding.
        max_steps: T, boundary included.
        prediction, keep, tolerance: see `next_symbol`.
        length_penalty: 0 ranks by log-probability; larger values favour longer outputs.
        forbidden: symbols that are never emitted (the others are not renormalised).

    Returns:
        For each of B sources at most W hypotheses that ended, best first; where none ended within T
        steps, the best unfinished one.

    Raises:
        UsageError: an option out of range, or the boundary among the forbidden symbols.
    """
    if width < 1:
        raise UsageError(f"a beam needs a width of at least 1, not {width}")
    if length_penalty < 0:
        raise UsageError(f"the length penalty must be at least 0, not {length_penalty}")
    boundary = model.boundary
    never = forbidden_symbols(boundary, forbidden, max_steps, source.device)
    row = torch.arange(source.shape[0], device=source.device).unsqueeze(-1)  # (B, 1)
    read, state = model.read(source, mask)
    beams = row.expand(-1, width).flatten()  # (B W,)
    read, state = read.select(beams), state.select(beams)
    live = _Ranked.one_each(read.values, width, max_steps, boundary)
    ended = live.only(torch.zeros_like(live.rank, dtype=torch.bool))
    previous = torch.full((beams.shape[0],), boundary, device=source.device)  # (B W,) int64
    for t in range(max_steps):
        query, scores, state = model.step(read, state, previous)
        log_p = next_symbol(model, read, query, scores, prediction, keep, tolerance)  # (B W, V)
        log_p = log_p.index_fill(-1, never, -torch.inf).unflatten(0, (-1, width))  # (B, W, V)
        candidates, parent = live.extend(log_p, t)  # W of them at most are at the boundary
        closing = candidates.symbols[:, :, t] == boundary
        closed = candidates.scored(_normaliser(t + 1, length_penalty)).only(closing)
        ended = ended.joined(closed.first(width)).best(width)
        order = candidates.only(~closing).rank.topk(width).indices  # (B, W)
        live, parent = candidates.only(~closing).take(order), parent.take_along_dim(order, 1)
        # No unfinished hypothesis ends with a better score than this: it can only lose probability.
        reachable = live.rank[:, 0] / _normaliser(max_steps, length_penalty)  # (B,)
        done = ended.rank[:, -1] >= reachable
        if bool(done.all()):
            break
        live = live.only(~done.unsqueeze(-1))
        state = state.select((row * width + parent).flatten())
        previous = live.symbols[:, :, t].flatten()
    return _hypotheses(ended, live.scored(_normaliser(max_steps, length_penalty)), boundary)


# R hypotheses a datum by rank; those of rank -inf do not count.
class _Ranked(NamedTuple):
    symbols: Tensor  # (B, R, T) int64, filled up with the boundary
    log_prob: Tensor  # (B, R)
    rank: Tensor  # (B, R)

    @classmethod
    def one_each(cls, like: Tensor, width: int, steps: int, boundary: int) -> "_Ranked":
        B = like.shape[0] // width
        log_prob = like.new_full((B, width), -torch.inf)
        log_prob[:, 0] = 0.0
        symbols = torch.full((B, width, steps), boundary, device=like.device)
        return cls(symbols, log_prob, log_prob)

    # The 2 R best continuations, so that R are left if all that can end do, and their parents.
    def extend(self, log_p: Tensor, t: int) -> tuple["_Ranked", Tensor]:
        V = log_p.shape[-1]
        total = (self.rank.unsqueeze(-1) + log_p).flatten(1)  # (B, R V)
        best, index = total.topk(min(2 * self.rank.shape[1], total.shape[1]))
        parent = index // V
        symbols = self.symbols.take_along_dim(parent.unsqueeze(-1), 1)
        symbols[:, :, t] = index % V
        return _Ranked(symbols, best, best), parent

    def scored(self, normaliser: float) -> "_Ranked":
        return self._replace(rank=self.log_prob / normaliser)

    def only(self, where: Tensor) -> "_Ranked":
        return self._replace(rank=self.rank.masked_fill(~where, -torch.inf))

    def first(self, count: int) -> "_Ranked":
        return _Ranked(*(part[:, :count] for part in self))

    def take(self, order: Tensor) -> "_Ranked":
        symbols = self.symbols.take_along_dim(order.unsqueeze(-1), 1)
        return _Ranked(symbols, self.log_prob.take_along_dim(order, 1), self.rank.take_along_dim(order, 1))

    def best(self, count: int) -> "_Ranked":
        return self.take(self.rank.topk(count).indices)

    def joined(self, other: "_Ranked") -> "_Ranked":
        return _Ranked(*(torch.cat(pair, 1) for pair in zip(self, other, strict=True)))


def _normaliser(length: int, penalty: float) -> float:
    return float(((5 + length) / 6) ** penalty)


def _hypotheses(ended: _Ranked, live: _Ranked, boundary: int) -> list[list[Hypothesis]]:
    stopped = (live.rank[:, 0] > ended.rank[:, 0]).tolist()
    rows = zip(_listed(ended, boundary), _listed(live.first(1), None), stopped, strict=True)
    return [
        [one._replace(stopped=cut) for one in finished or unfinished] for finished, unfinished, cut in rows
    ]


def _listed(ranked: _Ranked, boundary: int | None) -> list[list[Hypothesis]]:
    def hypothesis(symbols: list[int], log_prob: float, score: float) -> Hypothesis:
        symbols = symbols if boundary is None else symbols[: symbols.index(boundary)]
        return Hypothesis(symbols, log_prob, score, boundary is not None)

    return [
        [hypothesis(*parts) for parts in zip(*row, strict=True) if parts[-1] > -torch.inf]
        for row in zip(*(part.tolist() for part in ranked), strict=True)
    ]
