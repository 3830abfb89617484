"""Greedy decoding: the most probable next symbol, step by step.

Shapes: B data, S source positions, T steps, V symbols.
"""

import torch
from torch import Tensor

from hardpp.decoding.predictive import Decodable, SourceT, StateT, next_symbol
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
    tolerance: float = 0.0,
    forbidden: tuple[int, ...] = (1,),
) -> list[list[int]]:
    """The greedy output of every source: B lists of at most T symbols, without the boundary.

    Arguments and errors as for `hardpp.decoding.beam.beam_search`.
    """
    never = forbidden_symbols(model.boundary, forbidden, max_steps, source.device)
    read, state = model.read(source, mask)
    previous = torch.full((source.shape[0],), model.boundary, device=source.device)  # (B,) int64
    ended = torch.zeros_like(previous, dtype=torch.bool)
    emitted = []
    for _ in range(max_steps):
        query, scores, state = model.step(read, state, previous)
        log_p = next_symbol(model, read, query, scores, prediction, keep, tolerance)  # (B, V)
        best = log_p.index_fill(-1, never, -torch.inf).argmax(-1)
        previous = best.masked_fill(ended, model.boundary)
        emitted.append(previous)
        ended = ended | (previous == model.boundary)
        if bool(ended.all()):
            break
    rows = torch.stack(emitted, 1).tolist()
    return [row[: row.index(model.boundary)] if model.boundary in row else row for row in rows]


def forbidden_symbols(
    boundary: int, forbidden: tuple[int, ...], max_steps: int, device: torch.device
) -> Tensor:
    """The forbidden symbols as a tensor; a UsageError if the boundary is one, or no step to decode in."""
    if boundary in forbidden:
        raise UsageError(f"the boundary symbol {boundary} cannot be forbidden: no output would end")
    if max_steps < 1:
        raise UsageError(f"decoding needs at least 1 step, not {max_steps}")
    return torch.tensor(forbidden, dtype=torch.int64, device=device)
