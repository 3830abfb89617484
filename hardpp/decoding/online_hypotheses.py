"""Hypotheses of online decoding: how far each one is, what it has emitted, and what it may do next.

At every decision a hypothesis either emits a token at its frame or leaves the frame. The end mark ends it,
and so does the last frame if nothing may be emitted after it.

Shapes: B data, S frames, T tokens at most, R rows (hypotheses of all data), V symbols.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class OnlineModel(Protocol):
    """What decoding needs of a model; states are the model's own, with `select(rows)`."""

    dwell: bool  # does an emission stay at its frame?
    boundary: int  # the end mark

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """The inputs of decisions by the number of frames consumed, (B, S + 1, .)."""

    def start(self, rows: int) -> Any:
        """The state before the first decision."""

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Logits of emitting (R,) and of tokens (R, V) at the current frames, and the state to follow."""

    def follow(self, state: Any, emits: Tensor, token: Tensor) -> Any:
        """The state after decisions (R,) bool and the tokens (R,) emitted."""


class Recognised(NamedTuple):
    """What was recognised in an utterance."""

    tokens: list[int]  # without the end mark
    frames: list[int]  # the current frame when each was emitted, from 0; S after the last frame
    log_prob: float  # of decisions and tokens together, in nats; a sum where a beam merged hypotheses


class Hypotheses(NamedTuple):
    """Hypotheses, one a row; every part has R rows."""

    inputs: Tensor  # (R, S + 1, .) of decisions, by the number of frames consumed
    frames: Tensor  # (R,) how many there are
    most: Tensor  # (R,) tokens, with which a hypothesis is over
    consumed: Tensor  # (R,) frames
    emitted: Tensor  # (R,) tokens
    tokens: Tensor  # (R, T), the boundary where none was emitted yet
    at: Tensor  # (R, T) the frame at which each was emitted
    log_prob: Tensor  # (R,)
    over: Tensor  # (R,) bool
    state: Any

    @classmethod
    def start(cls, model: OnlineModel, source: Tensor, mask: Tensor, most: Tensor | int) -> "Hypotheses":
        """One hypothesis a datum, before the first decision."""
        B = len(source)
        zero = torch.zeros(B, dtype=torch.int64, device=source.device)
        limits = torch.as_tensor(most, device=source.device).expand(B)
        none = zero.unsqueeze(-1).expand(B, int(limits.max()) + 1)
        inputs = model.read(source, mask)
        log_prob = torch.zeros(B, dtype=inputs.dtype, device=source.device)
        tokens, over = none + model.boundary, zero.bool()
        frames, state = mask.sum(-1), model.start(B)
        return cls(inputs, frames, limits, zero, zero, tokens, none.clone(), log_prob, over, state)

    def select(self, rows: Tensor) -> "Hypotheses":
        """The hypotheses of other rows, (R',) int64."""
        parts = self._asdict()
        state = parts.pop("state").select(rows)
        return Hypotheses(state=state, **{name: part[rows] for name, part in parts.items()})

    def step(self, model: OnlineModel) -> tuple[Tensor, Tensor, Any, Tensor, Tensor]:
        """Logits of emitting (R,) and of tokens (R, V), the state to follow, may it emit, may it leave?"""
        at = self.consumed.view(-1, 1, 1).expand(-1, 1, self.inputs.shape[-1])
        emit, tokens, state = model.step(self.inputs.gather(1, at).squeeze(1), self.state)
        may_leave = (self.consumed < self.frames) & ~self.over  # after the last frame it may only emit
        may_emit = ~self.over if model.dwell else may_leave
        return emit.float(), tokens.float(), state, may_emit, may_leave

    def decided(self, model: OnlineModel, emits: Tensor, token: Tensor, log_prob: Tensor) -> "Hypotheses":
        """The hypotheses one decision (R,) bool and, where it emits, one token (R,) further."""
        index, emitting = self.emitted.unsqueeze(-1), emits.unsqueeze(-1)
        tokens = torch.where(emitting, self.tokens.scatter(-1, index, token.unsqueeze(-1)), self.tokens)
        at = torch.where(emitting, self.at.scatter(-1, index, self.consumed.unsqueeze(-1)), self.at)
        ends = emits & (token == model.boundary)
        emitted = self.emitted + (emits & ~ends).long()
        leaves = ~self.over & ~(emits if model.dwell else torch.zeros_like(emits))
        consumed = torch.minimum(self.consumed + leaves.long(), self.frames)
        over = self.over | ends | (emitted >= self.most)
        if not model.dwell:
            over = over | (consumed >= self.frames)
        return self._replace(
            consumed=consumed,
            emitted=emitted,
            tokens=tokens,
            at=at,
            log_prob=log_prob,
            over=over,
            state=model.follow(self.state, emits, token),
        )

    def recognised(self) -> list[Recognised]:
        """What each hypothesis says."""
        columns = (self.tokens, self.at, self.emitted, self.log_prob)
        return [
            Recognised(tokens[:count], at[:count], log_prob)
            for tokens, at, count, log_prob in zip(*(part.tolist() for part in columns), strict=True)
        ]
