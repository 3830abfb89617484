"""Paths through the grid of frames and tokens: at each step a decision to emit or to consume.

A path starts with no frame consumed and no token emitted (i = 0, o = 0) and ends with all m frames consumed
and all n tokens emitted. One binary decision a step:

    dwell      1: emit a token and stay at the frame;  0: consume the frame     m + n steps, C(m + n, n) paths
    no dwell   1: emit a token and consume the frame;  0: consume the frame     m steps, C(m, n) paths

If only one decision can lead to the end it is *forced*: its probability is one and its logit is ignored.
After the end nothing is decided, and the weight of staying there is 0.

In the lattice (`hardpp.ops.lattice`) the state is the number of tokens emitted, a transition is a decision,
and a step is an anti-diagonal i + o = t of the grid (dwell) or a frame i = t (no dwell).

Source: Lawson et al. (2017), section 2.1; Luo et al. (2016), section 2, without dwelling, and for forcing.
Shapes: B data, N steps, S frames, T tokens; ... = dims inference adds on the left.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from hardpp.ops.precision import at_least_single


class Path(NamedTuple):
    """The path that decisions make; all (..., B, N)."""

    consumed: Tensor  # int64 frames before each step, 0 .. S
    emitted: Tensor  # int64 tokens before each step, 0 .. T
    last: Tensor  # int64 the decision before each step, 0 before the first
    may_emit: Tensor  # bool
    may_consume: Tensor  # bool; decisions that may both be made are free
    within: Tensor  # bool (B, N), the steps before the end; the same for all paths


class Sides(NamedTuple):
    """Values of points of the grid that are sums of two: one is known by the row, the other by the column."""

    idle: Tensor  # (B, S + 1) by the frames consumed; without dwelling, by those consumed without a token
    emitted: Tensor  # (B, T + 1) by the tokens emitted


class Grid(NamedTuple):
    """The numbers of frames and tokens of each datum, and which paths go through them."""

    frames: Tensor  # (B,) int64 m
    tokens: Tensor  # (B,) int64 n
    S: int  # at least every m
    T: int  # at least every n
    dwell: bool

    @classmethod
    def of(cls, source_mask: Tensor, target_mask: Tensor, dwell: bool) -> "Grid":
        """The grid of right-padded frames (B, S) and tokens (B, T), bool masks."""
        S, T = source_mask.shape[-1], target_mask.shape[-1]
        return cls(source_mask.sum(-1), target_mask.sum(-1), S, T, dwell)

    @property
    def steps(self) -> int:
        """N, the length of the longest path."""
        return self.S + self.T if self.dwell else self.S

    @property
    def length(self) -> Tensor:
        """How many steps a path has, (B,)."""
        return self.frames + self.tokens if self.dwell else self.frames

    def may(self, consumed: Tensor, emitted: Tensor, dims: int = 0) -> tuple[Tensor, Tensor]:
        """Whether a path at this point may emit and may consume, bool; `dims` dims follow the data dim."""
        frames, tokens = (each[(..., *[None] * dims)] for each in (self.frames, self.tokens))
        left = frames - consumed
        if self.dwell:
            return emitted < tokens, left > 0
        return (emitted < tokens) & (left > 0), left > (tokens - emitted).clamp(min=0)

    def path(self, decisions: Tensor) -> Path:
        """The path of decisions (..., B, N), 0 or 1; decisions after the end are ignored."""
        within = torch.arange(self.steps, device=decisions.device) < self.length.unsqueeze(-1)
        each = torch.where(within, decisions.long(), 0)
        emitted = each.cumsum(-1) - each
        if self.dwell:
            left = torch.where(within, 1 - each, 0)
            consumed = (left.cumsum(-1) - left).clamp(max=self.S)
        else:
            consumed = torch.arange(self.steps, device=each.device).minimum(self.frames.unsqueeze(-1))
            consumed = consumed.expand_as(emitted)
        last = pad(each[..., :-1], (1, 0))
        return Path(consumed, emitted.clamp(max=self.T), last, *self.may(consumed, emitted, dims=1), within)

    def emission_steps(self, decisions: Tensor) -> Tensor:
        """The step at which each token is emitted, (..., B, T) int64; N if it never is."""
        within = torch.arange(self.steps, device=decisions.device) < self.length.unsqueeze(-1)
        count = torch.where(within, decisions.long(), 0).cumsum(-1).contiguous()
        each = torch.arange(1, self.T + 1, device=decisions.device)
        return torch.searchsorted(count, each.expand(*count.shape[:-1], -1).contiguous())

    def emitted_at(self, decisions: Tensor) -> Tensor:
        """The frames consumed when each token is emitted, (..., B, T) int64; arbitrary if it never is."""
        at = self.emission_steps(decisions).clamp(max=self.steps - 1)
        return self.path(decisions).consumed.gather(-1, at)

    def even(self, like: Tensor) -> Sides:
        """Logits that make every path from here to the end equally likely.

        The odds of emitting are the tokens left to the frames left; without dwelling, to the frames left that
        no token needs. Where a decision is forced they are finite and mean nothing.
        """
        frames, tokens = self._left()
        return Sides(-frames.clamp(min=1).to(like.dtype).log(), tokens.clamp(min=1).to(like.dtype).log())

    def forced(self, like: Tensor) -> Sides:
        """What is added to logits so that emitting is as good as sure or impossible where it is forced.

        Sums that are not a number, at the end, stand for decisions that are not made.
        """
        frames, tokens = (torch.where(each > 0, 0.0, torch.inf).to(like.dtype) for each in self._left())
        return Sides(frames, -tokens)

    # Frames left that no token needs (B, S + 1), and tokens left (B, T + 1).
    def _left(self) -> Sides:
        idle = torch.arange(self.S + 1, device=self.frames.device)
        emitted = torch.arange(self.T + 1, device=self.frames.device)
        needless = self.frames if self.dwell else self.frames - self.tokens
        return Sides(needless.unsqueeze(-1) - idle, self.tokens.unsqueeze(-1) - emitted)

    def idle(self, consumed: Tensor, emitted: Tensor) -> Tensor:
        """How many of the frames consumed had no token of their own, int64."""
        return consumed if self.dwell else (consumed - emitted).clamp(min=0)

    def at(self, values: Tensor, consumed: Tensor, emitted: Tensor) -> Tensor:
        """Values (B, S + 1, T + 1) of the grid where paths are, (..., B, N) as `consumed` and `emitted`."""
        place = consumed * (self.T + 1) + emitted
        return values.flatten(-2).expand(*place.shape[:-1], -1).gather(-1, place)

    def arcs(self, logits: Tensor) -> Tensor:
        """Log-probabilities of decisions as arcs of the lattice, (B, N, T + 1, 2).

        The logits (B, S + 1, T + 1) of emitting are by frames consumed and tokens emitted.
        """
        consumed = torch.arange(self.S + 1, device=logits.device).unsqueeze(-1)
        emitted = torch.arange(self.T + 1, device=logits.device)
        may_emit, may_consume = self.may(consumed, emitted, dims=2)
        both = torch.stack(decision_log_probs(logits, may_emit, may_consume), -1)
        arcs = self._by_step(both, -torch.inf)
        step = torch.arange(self.steps, device=logits.device).unsqueeze(-1)
        over = (step >= self.length[:, None, None]) & (emitted == self.tokens[:, None, None])
        stay = arcs.new_full((2,), -torch.inf)
        stay[0] = 0.0
        return torch.where(over.unsqueeze(-1), stay, arcs)

    def token_arcs(self, log_likelihood: Tensor) -> Tensor:
        """Log-likelihoods (B, S + 1, T) of each token after 0 .. S frames, as arcs (B, N, T + 1, 2)."""
        padded = pad(log_likelihood, (0, 1))
        return self._by_step(torch.stack([torch.zeros_like(padded), padded], -1), 0.0)

    def end(self, like: Tensor) -> Tensor:
        """The weights of ending in each state, (B, T + 1): 0 with all tokens emitted."""
        state = torch.arange(self.T + 1, device=like.device) == self.tokens.unsqueeze(-1)
        return torch.where(state, 0.0, -torch.inf).to(like.dtype)

    def emission_frames(self, arc_probabilities: Tensor) -> Tensor:
        """The probability that each token is emitted after 0 .. S frames, (B, T, S + 1), of all arcs."""
        emits = arc_probabilities[..., :-1, 1].transpose(-1, -2)  # (B, T, N)
        if not self.dwell:
            return pad(emits, (0, 1))
        token = torch.arange(self.T, device=emits.device).unsqueeze(-1)
        step = torch.arange(self.S + 1, device=emits.device) + token  # (T, S + 1)
        inside = step < self.steps
        return emits.gather(-1, step.clamp(max=self.steps - 1).expand(*emits.shape[:-1], -1)) * inside

    # Values (B, S + 1, T + 1, 2) of the grid by step and state, (B, N, T + 1, 2).
    def _by_step(self, values: Tensor, elsewhere: float) -> Tensor:
        if not self.dwell:
            return values[:, : self.S]
        step = torch.arange(self.steps, device=values.device).unsqueeze(-1)
        consumed = step - torch.arange(self.T + 1, device=values.device)  # (N, T + 1)
        inside = (consumed >= 0) & (consumed <= self.S)
        index = consumed.clamp(0, self.S)[..., None].expand(len(values), -1, -1, values.shape[-1])
        return values.gather(1, index).masked_fill(~inside.unsqueeze(-1), elsewhere)


def decision_log_probs(logits: Tensor, may_emit: Tensor, may_consume: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of consuming (0) and emitting (1), never narrower than float32.

    Exactly 0 and without gradient where the decision is forced, minus infinity where it is not allowed.
    """
    wide = at_least_single(logits)
    free = may_emit & may_consume
    zero = wide.new_zeros(())
    consume = torch.where(free, logsigmoid(-wide), zero).masked_fill(~may_consume, -torch.inf)
    emit = torch.where(free, logsigmoid(wide), zero).masked_fill(~may_emit, -torch.inf)
    return consume, emit
