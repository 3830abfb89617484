"""Greedy decoding: the most probable next symbol, step by step.

Shapes: B data, S source positions, T steps, V symbols.
"""

import torch
from torch import Tensor

from hardpp.decoding.predictive import Decodable, SourceT, StateT, check, next_symbol
from hardpp.errors import UsageError
from hardpp.types import Prediction


@torch.no_grad()
def greedy(
    model: Decodable[SourceT, StateT],
    source: Tensor,
    mask: Tensor,
    *,
    max_steps: int,
    prediction: Prediction = "marginal",
    keep: int | None = None,
    forbidden: tuple[int, ...] = (1,),
) -> list[list[int]]:
    """The greedy output of every source.

    The model is used as it is: put it in evaluation mode first.

    Args:
        model: decodable a step at a time.
        source: (B, S) int64, or whatever else the model reads, data first.
        mask: (B, S) bool.
        max_steps: T, after which an output without a boundary is cut off.
        prediction, keep: see `next_symbol`.
        forbidden: symbols that are never emitted (the others are not renormalised).

    Returns:
        B lists of at most T symbols, without the boundary.

    Raises:
        UsageError: an option out of range, or the boundary among the forbidden symbols.
    """
    check(prediction, keep)
    never = forbidden_symbols(model.boundary, forbidden, max_steps, source.device)
    read, state = model.read(source, mask)
    previous = torch.full((source.shape[0],), model.boundary, device=source.device)  # (B,) int64
    ended = torch.zeros_like(previous, dtype=torch.bool)
    emitted = []
    for _ in range(max_steps):
        query, scores, state = model.step(read, state, previous)
        log_p = next_symbol(model, read, query, scores, prediction, keep)  # (B, V)
        best = log_p.index_fill(-1, never, -torch.inf).argmax(-1)
        previous = best.masked_fill(ended, model.boundary)
        emitted.append(previous)
        ended = ended | (previous == model.boundary)
        if bool(ended.all()):
            break
    return [_cut(row, model.boundary) for row in torch.stack(emitted, 1).tolist()]


def forbidden_symbols(
    boundary: int, forbidden: tuple[int, ...], max_steps: int, device: torch.device
) -> Tensor:
    """The forbidden symbols as a tensor, after checking that decoding can end.

    Raises:
        UsageError: the boundary is among them, or there is no step to decode in.
    """
    if boundary in forbidden:
        raise UsageError(f"the boundary symbol {boundary} cannot be forbidden: no output would end")
    if max_steps < 1:
        raise UsageError(f"decoding needs at least 1 step, not {max_steps}")
    return torch.tensor(forbidden, dtype=torch.int64, device=device)


def _cut(symbols: list[int], boundary: int) -> list[int]:
    return symbols[: symbols.index(boundary)] if boundary in symbols else symbols
