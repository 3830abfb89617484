"""Decoding of online alignments: frames are read once, in order, and tokens are emitted along the way.

One step of the model a decision, with a state of one size however long the utterance. Three ways to decide:

    greedy     emit as soon as p(emitted by now) exceeds a threshold, and the likeliest token, where
               p(emitted by now) = 1 - prod of (1 - p(emit)) since the last emission. Above 1/2 that is the
               median time of the token; a model that is unsure of the frame emits with p > 1/2 at none
    sampled    decision and token are drawn from the model
    beam       the W likeliest (decisions, tokens) after equally many decisions. Hypotheses that have emitted
               the same tokens by then are at the same frame and can be merged, their probabilities added:
               exactly if the model's state depends on nothing else, otherwise with the state of the likelier
               one. Without merging, tokens whose times are uncertain lose, and outputs come out too short

Source: Lawson et al. (2018) for the model; Saon, Tueske and Audhkhasi (2020), Alignment-Length Synchronous
Decoding for RNN Transducer, for the beam.
Shapes: B data, S frames, W width of a beam, R rows (B, or B times W), V symbols.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hardpp.decoding.online_hypotheses import Hypotheses, OnlineModel, Recognised
from hardpp.errors import UsageError

_NEGLIGIBLE = 14.0  # nats below the best: a millionth of its probability


def decode(
    model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int, threshold: float = 0.5
) -> list[Recognised]:
    """Greedy decoding.

    Args:
        model: in evaluation mode.
        source, mask: frames (B, S, F), and which of them are there, (B, S).
        most: tokens an utterance, at which decoding stops: one number, or (B,) of each.
        threshold: a token is emitted when the probability that it was emitted by now exceeds it.
    """
    waited = torch.zeros(len(source), device=source.device)  # log p(not emitted since the last emission)
    least = torch.tensor(-threshold, dtype=torch.float64).log1p().item()

    def decide(emit: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal waited
        waited = waited + logsigmoid(-emit)
        emits = waited < least
        waited = waited.masked_fill(emits, 0.0)
        return emits, tokens.argmax(-1)

    return _one_by_one(model, source, mask, most, decide)


def draw(model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int) -> list[Recognised]:
    """Decisions and tokens drawn from the model; arguments as for `decode`."""

    def decide(emit: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return torch.rand_like(emit) < emit.sigmoid(), tokens.softmax(-1).multinomial(1).squeeze(-1)

    return _one_by_one(model, source, mask, most, decide)


def beam(
    model: OnlineModel, source: Tensor, mask: Tensor, *, most: Tensor | int, width: int, merge: bool
) -> list[Recognised]:
    """The likeliest hypothesis that a beam search of width W finds; other arguments as for `beam_ranked`."""
    return [found[0] for found in beam_ranked(model, source, mask, most=most, width=width, merge=merge)]


@torch.no_grad()
def beam_ranked(
    model: OnlineModel,
    source: Tensor,
    mask: Tensor,
    *,
    most: Tensor | int,
    width: int,
    merge: bool,
    count: int = 1,
) -> list[list[Recognised]]:
    """The likeliest hypotheses that a beam search of width W finds, the best first; as for `decode`.

    The search ends when none can become better than the `count` best of those that are over: at most so
    many are returned of each utterance, and one at least. With `merge` hypotheses that have emitted the same
    tokens are merged; that is exact if the model's state depends on nothing else.
    """
    if width < 1:
        raise UsageError(f"a beam keeps at least 1 hypothesis, not {width}")
    B = len(source)
    rows = Hypotheses.start(model, source, mask, most).select(
        torch.arange(B, device=source.device).repeat_interleave(width)
    )
    first = torch.arange(B * width, device=source.device) % width == 0
    rows = rows._replace(log_prob=rows.log_prob.masked_fill(~first, -torch.inf))
    for _ in range(source.shape[1] + rows.tokens.shape[-1]):
        over = rows.log_prob.masked_fill(~rows.over, -torch.inf).view(B, width)
        ended = over.topk(min(count, width)).values[:, -1]
        unfinished = rows.log_prob.masked_fill(rows.over, -torch.inf).view(B, width)
        # An unfinished hypothesis can only lose probability, except by being merged with others.
        reachable = unfinished.logsumexp(-1) + _NEGLIGIBLE if merge else unfinished.amax(-1)
        if bool((reachable <= ended).all()):
            break
        rows = _extended(model, rows, B, width)
        if merge:
            rows = _merged(rows, B, width)
    rows = rows._replace(log_prob=rows.log_prob.masked_fill(~rows.over, -torch.inf))
    order = rows.log_prob.view(B, width).argsort(stable=True, dim=-1, descending=True)[:, :count]
    best = order + width * torch.arange(B, device=source.device).unsqueeze(-1)
    found = iter(rows.select(best.flatten()).recognised())
    ranked = [[next(found) for _ in of_datum] for of_datum in order]
    return [[of for of in some if of.log_prob > -torch.inf] or some[:1] for some in ranked]


def _extended(model: OnlineModel, rows: Hypotheses, B: int, width: int) -> Hypotheses:
    emit, tokens, state, may_emit, may_leave = rows.step(model)
    go, stay = logsigmoid(emit), logsigmoid(-emit)
    go = torch.where(may_leave, go, 0.0).masked_fill(~may_emit, -torch.inf)
    stay = torch.where(may_emit, stay, 0.0).masked_fill(~may_leave, -torch.inf)
    stay = stay.masked_fill(rows.over, 0.0)  # over: carried along
    moves = torch.cat([stay.unsqueeze(-1), go.unsqueeze(-1) + tokens.log_softmax(-1)], -1)  # (R, 1 + V)
    total = (rows.log_prob.unsqueeze(-1) + moves).view(B, -1)
    log_prob, index = total.topk(width, -1)  # (B, W)
    log_prob, choices = log_prob.flatten(), moves.shape[-1]
    parent = (index // choices + width * torch.arange(B, device=emit.device).unsqueeze(-1)).flatten()
    move = (index % choices).flatten()
    rows = rows._replace(state=state).select(parent)
    emits = (move > 0) & ~rows.over & log_prob.isfinite()
    return rows.decided(model, emits, (move - 1).clamp(min=0), log_prob)


# The first of the hypotheses with the same tokens gets their probability; ended and unfinished ones differ.
def _merged(rows: Hypotheses, B: int, width: int) -> Hypotheses:
    tokens = torch.cat([rows.tokens, rows.over.long().unsqueeze(-1)], -1).view(B, width, -1)
    same = (tokens.unsqueeze(1) == tokens.unsqueeze(2)).all(-1)  # (B, W, W)
    log_prob = rows.log_prob.view(B, width)
    total = log_prob.unsqueeze(1).masked_fill(~same, -torch.inf).logsumexp(-1)
    repeated = (same & torch.ones_like(same).tril(-1)).any(-1)
    return rows._replace(log_prob=total.masked_fill(repeated, -torch.inf).flatten())


@torch.no_grad()
def _one_by_one(
    model: OnlineModel,
    source: Tensor,
    mask: Tensor,
    most: Tensor | int,
    decide: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
) -> list[Recognised]:
    rows = Hypotheses.start(model, source, mask, most)
    for _ in range(source.shape[1] + rows.tokens.shape[-1]):
        if bool(rows.over.all()):
            break
        emit, tokens, state, may_emit, may_leave = rows.step(model)
        would_emit, token = decide(emit, tokens)
        emits = may_emit & (would_emit | ~may_leave) & ~rows.over
        free = may_emit & may_leave
        step = torch.where(free, logsigmoid(torch.where(emits, emit, -emit)), 0.0)
        step = step + torch.where(emits, tokens.log_softmax(-1).gather(-1, token[:, None])[:, 0], 0.0)
        log_prob = rows.log_prob + step.masked_fill(rows.over, 0.0)
        rows = rows._replace(state=state).decided(model, emits, token, log_prob)
    return rows.recognised()
