"""Ancestral sampling: outputs drawn from the model itself, with the alignments that made them.

    z[t] ~ p(z[t] | x, y[<t]),   y[t] ~ p(y[t] | z[t], x, y[<t]),   until the boundary is drawn

That is a draw of the joint distribution p(y, z | x) where states read the symbols before a step and never the
positions that were drawn (input feeding of expected contexts; a chain of positions is another thing).

Online, decisions to emit are drawn together with the tokens, of so many tokens as are asked for:

    b[n] ~ p(b[n] | x, y[<o], b[<n]),   y[o] ~ p(y[o] | x, y[<o], b[<n])   where b[n] emits the o-th token

Shapes: B data, S source positions or frames, T steps or tokens, N decisions, V symbols.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.decoding.online_hypotheses import OnlineModel
from hardpp.decoding.predictive import Decodable, SourceT, StateT
from hardpp.ops.lattice_grid import Grid


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
        logits = model.readout.logits(read.values[rows, position], query)
        previous = torch.distributions.Categorical(logits=logits).sample()
        symbols.append(previous)
        positions.append(position)
        ended = ended | (previous == model.boundary)
        if bool(ended.all()):
            break
    return Outputs(torch.stack(symbols, 1), torch.stack(positions, 1))


class OnlineOutputs(NamedTuple):
    """Outputs of B utterances, each with as many tokens as were asked for."""

    tokens: Tensor  # (B, T) int64, 0 where the mask is False
    decisions: Tensor  # (B, N) int64: 1 emits, 0 consumes, and 0 after the end


@torch.no_grad()
def draw_online_outputs(
    model: OnlineModel, source: Tensor, source_mask: Tensor, target_mask: Tensor
) -> OnlineOutputs:
    """Draws tokens and decisions of every utterance (B, S, F), from torch's generator.

    How many tokens there are is what the mask (B, T) says; decisions that no others could follow are forced.
    """
    grid = Grid.of(source_mask, target_mask, model.dwell)
    frames, state = model.read(source, source_mask), model.start(len(source))
    rows = torch.arange(len(source), device=source.device)
    consumed = emitted = torch.zeros_like(rows)
    tokens, decisions = torch.zeros_like(target_mask, dtype=torch.int64), []
    for _ in range(grid.steps):
        emit, logits, state = model.step(frames[rows, consumed], state)
        may_emit, may_consume = grid.may(consumed, emitted)
        emits = may_emit & ((torch.rand_like(emit) < emit.sigmoid()) | ~may_consume)
        token = torch.distributions.Categorical(logits=logits).sample()
        tokens[rows[emits], emitted[emits]] = token[emits]
        state = model.follow(state, emits, token)
        leaves = may_consume & ~emits if grid.dwell else may_emit | may_consume
        consumed, emitted = consumed + leaves.long(), emitted + emits.long()
        decisions.append(emits.long())
    return OnlineOutputs(tokens, torch.stack(decisions, 1))
