"""Draws paths of decisions step by step, with nothing in the loop that could be computed outside of it.

    emit at step t   where   u[t] < sigmoid(logit[t]),   that is   logit of u[t] < w h[t] + offset

The offset is the bias and the pace, and infinite where a decision is forced. It is one more column of the
table whose rows inputs add to the gates (`hardpp.nn.gate_tables`). A step takes thirteen operations on a CPU
and ten elsewhere, with an LSTM of one layer, a linear emission, and tokens that stay at their frames.

Shapes: B data, N steps, S frames, T tokens, R rows (paths of all data), L layers, H features, P rows of the
table; ... = dims inference adds on the left.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp.nn.gate_tables import GateRows, GateTables
from hardpp.nn.lstm_steps import SteadySteps, steps_of
from hardpp.ops.lattice_grid import Grid, Sides

_Logit = Callable[[Tensor, Tensor], Tensor]  # of states (R, H) and offsets (R,): (R,)


@torch.no_grad()
def draw_path(
    grid: Grid, tables: GateTables, emission: nn.Module, pace: Sides | None, uniform: Tensor
) -> tuple[Tensor, Tensor]:
    """Decisions (..., B, N) int64: 1 emits, 0 consumes, and 0 after the end; and the logits of emitting.

    The logits (..., B, N) are infinite where a decision is forced, and no numbers after the end.

    Args:
        grid: how many frames and tokens there are.
        tables: of the batch.
        emission: states (..., H) -> (..., 1), the logit of emitting.
        pace: is added to logits; None for zeros.
        uniform: numbers from 0 to 1 of every step and path, (N, ..., B).
    """
    # Below infinity, which is for decisions that are forced.
    thresholds = uniform.flatten(1).logit().clamp(max=torch.finfo(uniform.dtype).max)
    N, R = thresholds.shape
    steps = steps_of(tables.layers, R)
    logit, bias = _logit_of(emission)
    idle, emitted = grid.forced(tables.rows.frames)
    if pace is not None:
        idle, emitted = idle + pace.idle, emitted + pace.emitted
    rows = tables.rows if isinstance(steps, SteadySteps) else tables.rows.as_torch()
    points = _Points(grid, rows, Sides(idle + bias, emitted), R)
    decisions = torch.zeros(N, R, dtype=torch.int64, device=thresholds.device)
    logits = []
    for threshold, last in zip(thresholds.unbind(), decisions.unbind(), strict=True):
        logits.append(logit(*steps.step(points.read())))
        torch.gt(logits[-1], threshold, out=last)
        points.follow(last)
    within = torch.arange(N, device=decisions.device) < grid.length.unsqueeze(-1)
    found, of_found = (each.t().reshape(*uniform.shape[1:], N) for each in (decisions, torch.stack(logits)))
    return found * within, of_found


# Where paths are, as indices (R, 2) of rows of the table: of tokens, and of frames. Without dwelling a frame
# is that of the step, and the offset depends on a third index.
class _Points:
    def __init__(self, grid: Grid, rows: GateRows, offsets: Sides, R: int):
        tokens, frames = rows
        # After the end frames go on being consumed, of which there are no more.
        over = grid.steps - grid.S
        frames, idle = pad(frames, (0, 0, 0, over)), pad(offsets.idle, (0, over), value=torch.inf)
        emitted = offsets.emitted.unsqueeze(-1).expand(tokens.shape[:-1])
        columns = [(tokens, emitted), (frames, idle)]
        if not grid.dwell:
            columns[1:] = [(frames, torch.zeros_like(idle)), (torch.zeros_like(frames), idle)]
        parts = [torch.cat([rows, offset.unsqueeze(-1)], -1) for rows, offset in columns]
        self.table = torch.cat([part.flatten(0, -2) for part in parts])
        row = torch.arange(R, device=frames.device) % len(frames)
        # Twice this is the row of a token after a decision to consume.
        self.emitted = row * tokens.shape[1]
        first = [tokens[..., 0].numel() + n * idle.numel() for n in range(len(parts) - 1)]
        starts = [start + row * idle.shape[1] for start in first]
        self.index = torch.stack([2 * self.emitted, *starts], -1)
        self.flat, self.columns = self.index.view(-1), self.index.unbind(-1)
        self.bags = torch.arange(R, device=row.device) * len(parts)
        # The indices of frames at the steps to come, from the last of which tokens emitted are taken away.
        step = torch.arange(1, grid.steps + 1, device=row.device).unsqueeze(-1)
        coming = [start + step for start in (*starts[:-1], starts[-1] + self.emitted)]
        self.coming = zip(*(each.unbind() for each in coming), strict=True)

    # (R, 4 H + 1)
    def read(self) -> Tensor:
        return torch.embedding_bag(self.table, self.flat, self.bags)[0]

    def follow(self, last: Tensor) -> None:
        self.emitted.add_(last)
        of_token, *of_frame, of_idle = self.columns
        torch.add(last, self.emitted, alpha=2, out=of_token)
        *frames, idle = next(self.coming)
        for index, frame in zip(of_frame, frames, strict=True):
            index.copy_(frame)
        torch.sub(idle, self.emitted, out=of_idle)


# How logits are computed, and the bias that the offsets are to hold.
def _logit_of(emission: nn.Module) -> tuple[_Logit, Tensor | float]:
    if not isinstance(emission, nn.Linear):
        return lambda states, offset: emission(states).squeeze(-1) + offset, 0.0
    weight, bias = emission.weight[0], 0.0 if emission.bias is None else emission.bias
    return lambda states, offset: torch.addmv(offset, states, weight), bias
