"""Decoding online alignments: frames are read once, in order, and tokens are said as soon as it is decided.

One step of the model a decision, and a state of one size however long the utterance. At every decision a row
either emits a token at its frame or leaves the frame; the end mark ends it, and so does the last frame where
nothing may be said after it. Three ways to decide:

    greedy     emit as soon as p(emitted by now) exceeds a threshold, and the likeliest token, where
               p(emitted by now) = 1 - prod of (1 - p(emit)) since the last emission: above 1/2 that is the
               median of when the token comes, which a model that is not sure of the frame has at no one frame
    sampled    both drawn from the model
    beam       the W likeliest (decisions, tokens) after as many decisions; hypotheses that have said the same
               by then stand at the same frame, and can be made one, with the sum of their probabilities:
               exactly where the model's state depends on no more than that, else with the state of the
               likelier one. Unmerged, what is said at one certain time beats what is surely said at some
               time, and utterances come out too short

Source: Lawson et al. (2018) for the model; Saon, Tueske and Audhkhasi (2020), Alignment-Length Synchronous
Decoding for RNN Transducer, for the beam.
Shapes: B data, S frames, R rows (B, or B times W), V symbols.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hardpp.errors import UsageError

_NEGLIGIBLE = 14.0  # nats below the best: a millionth of its probability


class OnlineModel(Protocol):
    """What decoding needs of a model; states are the model's own, with `select(rows)`."""

    dwell: bool  # does an emission stay at its frame?
    boundary: int  # the end mark

    def read(self, source: Tensor, mask: Tensor) -> Tensor:
        """What is at hand after so many frames were consumed: (B, S + 1, .)."""

    def start(self, rows: int) -> Any:
        """The state before the first decision."""

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Logits of emitting (R,) and of tokens (R, V) at the frames at hand, and the state to follow."""

    def follow(self, state: Any, emits: Tensor, token: Tensor) -> Any:
        """The state after decisions (R,) bool and the tokens (R,) emitted."""


class Recognised(NamedTuple):
    """What was said in an utterance, as far as can be told."""

    tokens: list[int]  # without the end mark
    frames: list[int]  # the frame at hand when each was emitted, from 0; S after the last frame
    log_prob: float  # of decisions and tokens together, in nats; a beam's sum where hypotheses became one


class _Rows(NamedTuple):
    known: Tensor  # (R, S + 1, .) what is at hand at every frame
    frames: Tensor  # (R,) how many there are
    most: Tensor  # (R,) tokens, at which a row is over
    consumed: Tensor  # (R,)
    emitted: Tensor  # (R,)
    tokens: Tensor  # (R, L) what was emitted, the boundary elsewhere
    at: Tensor  # (R, L) at which frame
    log_prob: Tensor  # (R,)
    over: Tensor  # (R,) bool
    state: Any

    def select(self, rows: Tensor) -> "_Rows":
        chosen = {
            name: getattr(self, name).select(rows) if name == "state" else getattr(self, name)[rows]
            for name in self._fields
        }
        return _Rows(**chosen)


def decode(
    model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int, threshold: float = 0.5
) -> list[Recognised]:
    """Greedy decoding of frames (B, S, F) with their mask (B, S).

    Args:
        model: in evaluation mode.
        source: frames.
        mask: which are there.
        most: tokens an utterance, at which decoding stops: one number, or (B,) of each.
        threshold: above which probability of having been emitted by now a token is emitted.
    """
    waited = torch.zeros(len(source), device=source.device)  # log p(not emitted since the last emission)
    least = torch.tensor(-threshold, dtype=torch.float64).log1p().item()

    def decide(emit: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal waited
        waited = waited + logsigmoid(-emit)
        emits = waited < least
        waited = waited.masked_fill(emits, 0.0)
        return emits, tokens.argmax(-1)

    return _decided(model, source, mask, most, decide)


def draw(model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int) -> list[Recognised]:
    """Decisions and tokens drawn from the model, for frames (B, S, F) with their mask (B, S)."""

    def decide(emit: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return torch.rand_like(emit) < emit.sigmoid(), tokens.softmax(-1).multinomial(1).squeeze(-1)

    return _decided(model, source, mask, most, decide)


@torch.no_grad()
def beam(
    model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int, width: int, merge: bool
) -> list[Recognised]:
    """The likeliest hypothesis that a beam finds.

    Args:
        model: in evaluation mode.
        source: frames (B, S, F).
        mask: which are there, (B, S).
        most: tokens an utterance, at which a hypothesis is over: one number, or (B,) of each.
        width: W, hypotheses kept.
        merge: make one of hypotheses that have said the same; exact for models whose state depends on nothing
            else.

    Raises:
        UsageError: a width below 1.
    """
    if width < 1:
        raise UsageError(f"a beam keeps at least 1 hypothesis, not {width}")
    B = len(source)
    rows = _start(model, source, mask, most).select(
        torch.arange(B, device=source.device).repeat_interleave(width)
    )
    first = torch.arange(B * width, device=source.device) % width == 0
    rows = rows._replace(log_prob=rows.log_prob.masked_fill(~first, -torch.inf))
    for _ in range(source.shape[1] + rows.tokens.shape[-1]):
        over = rows.log_prob.masked_fill(~rows.over, -torch.inf).view(B, width).amax(-1)
        still = rows.log_prob.masked_fill(rows.over, -torch.inf).view(B, width)
        # Alone, what is still open can only lose; what is merged may yet add up.
        if bool(((still.logsumexp(-1) + _NEGLIGIBLE if merge else still.amax(-1)) <= over).all()):
            break
        rows = _extended(model, rows, B, width)
        if merge:
            rows = _merged(rows, B, width)
    rows = rows._replace(log_prob=rows.log_prob.masked_fill(~rows.over, -torch.inf))
    best = rows.log_prob.view(B, width).argmax(-1) + width * torch.arange(B, device=source.device)
    return _read_out(model, rows.select(best))


def _extended(model: OnlineModel, rows: _Rows, B: int, width: int) -> _Rows:
    emit, said, state, may_emit, may_leave = _look(model, rows)
    go, stay = logsigmoid(emit), logsigmoid(-emit)
    go = torch.where(may_leave, go, 0.0).masked_fill(~may_emit, -torch.inf)
    stay = torch.where(may_emit, stay, 0.0).masked_fill(~may_leave, -torch.inf)
    stay = stay.masked_fill(rows.over, 0.0)  # over: carried along
    moves = torch.cat([stay.unsqueeze(-1), go.unsqueeze(-1) + said.log_softmax(-1)], -1)  # (R, 1 + V)
    V = moves.shape[-1]
    score = (rows.log_prob.unsqueeze(-1) + moves).view(B, width * V)
    kept, index = score.topk(width, -1)  # (B, W)
    parent = (index // V + width * torch.arange(B, device=emit.device).unsqueeze(-1)).flatten()
    move = (index % V).flatten()
    rows = rows._replace(state=state).select(parent)
    emits = (move > 0) & ~rows.over & kept.flatten().isfinite()
    return _moved(model, rows, emits, (move - 1).clamp(min=0), kept.flatten())


# The first of those that have said the same takes the others' probability; over and open ones are apart.
def _merged(rows: _Rows, B: int, width: int) -> _Rows:
    tokens = torch.cat([rows.tokens, rows.over.long().unsqueeze(-1)], -1).view(B, width, -1)
    same = (tokens.unsqueeze(1) == tokens.unsqueeze(2)).all(-1)  # (B, W, W)
    scores = rows.log_prob.view(B, width)
    total = scores.unsqueeze(1).masked_fill(~same, -torch.inf).logsumexp(-1)
    before = torch.ones_like(same).tril(-1)
    repeated = (same & before).any(-1)
    return rows._replace(log_prob=total.masked_fill(repeated, -torch.inf).flatten())


@torch.no_grad()
def _decided(
    model: OnlineModel, source: Tensor, mask: Tensor, most: Tensor | int, decide: Any
) -> list[Recognised]:
    rows = _start(model, source, mask, most)
    for _ in range(source.shape[1] + rows.tokens.shape[-1]):
        if bool(rows.over.all()):
            break
        emit, said, state, may_emit, may_leave = _look(model, rows)
        wants, token = decide(emit, said)
        emits = may_emit & (wants | ~may_leave) & ~rows.over
        free = may_emit & may_leave
        chance = torch.where(free, logsigmoid(torch.where(emits, emit, -emit)), 0.0)
        chance = chance + torch.where(emits, said.log_softmax(-1).gather(-1, token[:, None])[:, 0], 0.0)
        score = rows.log_prob + chance.masked_fill(rows.over, 0.0)
        rows = _moved(model, rows._replace(state=state), emits, token, score)
    return _read_out(model, rows)


def _start(model: OnlineModel, source: Tensor, mask: Tensor, most: Tensor | int) -> _Rows:
    B = len(source)
    zero = torch.zeros(B, dtype=torch.int64, device=source.device)
    limits = torch.as_tensor(most, device=source.device).expand(B)
    none = zero.unsqueeze(-1).expand(B, int(limits.max()) + 1)
    known = model.read(source, mask)
    score = torch.zeros(B, dtype=known.dtype, device=source.device)
    frames = mask.sum(-1)
    over = zero.bool()
    said = none + model.boundary
    return _Rows(known, frames, limits, zero, zero, said, none.clone(), score, over, model.start(B))


# Logits, the state to follow, and what may be decided: after the last frame tokens are all that is left.
def _look(model: OnlineModel, rows: _Rows) -> tuple[Tensor, Tensor, Any, Tensor, Tensor]:
    at = rows.consumed.view(-1, 1, 1).expand(-1, 1, rows.known.shape[-1])
    emit, said, state = model.step(rows.known.gather(1, at).squeeze(1), rows.state)
    may_leave = (rows.consumed < rows.frames) & ~rows.over
    may_emit = ~rows.over if model.dwell else may_leave
    return emit.float(), said.float(), state, may_emit, may_leave


def _moved(model: OnlineModel, rows: _Rows, emits: Tensor, token: Tensor, score: Tensor) -> _Rows:
    place = rows.emitted.unsqueeze(-1)
    tokens = torch.where(
        emits.unsqueeze(-1), rows.tokens.scatter(-1, place, token.unsqueeze(-1)), rows.tokens
    )
    at = torch.where(emits.unsqueeze(-1), rows.at.scatter(-1, place, rows.consumed.unsqueeze(-1)), rows.at)
    ends = emits & (token == model.boundary)
    emitted = rows.emitted + (emits & ~ends).long()
    leaves = ~rows.over & ~(emits if model.dwell else torch.zeros_like(emits))
    consumed = torch.minimum(rows.consumed + leaves.long(), rows.frames)
    over = rows.over | ends | (emitted >= rows.most)
    if not model.dwell:
        over = over | (consumed >= rows.frames)
    state = model.follow(rows.state, emits, token)
    return _Rows(rows.known, rows.frames, rows.most, consumed, emitted, tokens, at, score, over, state)


def _read_out(model: OnlineModel, rows: _Rows) -> list[Recognised]:
    tokens, at, counts = rows.tokens.tolist(), rows.at.tolist(), rows.emitted.tolist()
    scores = rows.log_prob.tolist()
    return [
        Recognised(said[:count], where[:count], score)
        for said, where, count, score in zip(tokens, at, counts, scores, strict=True)
    ]
