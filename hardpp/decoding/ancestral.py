"""Ancestral sampling: outputs drawn from the model itself, with the alignments that made them.

    z[t] ~ p(z[t] | x, y[<t]),   y[t] ~ p(y[t] | z[t], x, y[<t]),   until the boundary is drawn

That is a draw of the joint distribution p(y, z | x) where states read the symbols before a step and never the
positions that were drawn (input feeding of expected contexts; a chain of positions is another thing).

Shapes: B data, S source positions, T steps, V symbols.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.decoding.predictive import Decodable, SourceT, StateT


class Outputs(NamedTuple):
    """Outputs of B sources, of T steps at most; what comes after a boundary means nothing."""

    symbols: Tensor  # (B, T) int64
    positions: Tensor  # (B, T) int64, of the source


@torch.no_grad()
def draw_outputs(
    model: Decodable[SourceT, StateT], source: Tensor, mask: Tensor, *, max_steps: int
) -> Outputs:
    """Draws an output of every source (B, S), of at most `max_steps` symbols, from torch's generator."""
    read, state = model.read(source, mask)
    rows = torch.arange(len(source), device=source.device)
    previous = torch.full_like(rows, model.boundary)
    ended = torch.zeros_like(previous, dtype=torch.bool)
    symbols, positions = [], []
    for _ in range(max_steps):
        query, scores, state = model.step(read, state, previous)
        position = torch.distributions.Categorical(logits=scores).sample()
        logits = model.readout(read.memory[rows, position], query)
        previous = torch.distributions.Categorical(logits=logits).sample()
        symbols.append(previous)
        positions.append(position)
        ended = ended | (previous == model.boundary)
        if bool(ended.all()):
            break
    return Outputs(torch.stack(symbols, 1), torch.stack(positions, 1))
