"""One batch of utterances: when each token is emitted, by the guide's draws and by every view of them.

    guide     how often a draw of the guide emits token t at frame s
    marginal  the same, each draw with its importance weight: the model's posterior, estimated
    exact     p(token t is emitted at frame s | frames, tokens), by the recursion over all paths

An emission after the last frame counts as one at the last frame. The views are those of
`hardpp.diagnostics.draws`, with frames for positions; before the tokens are known a model of decisions has
no distribution of their frames, so there is no prior.

Shapes: K draws, B data, N decisions, T tokens (the end mark included), S frames.
"""

from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.inference.sums.lattice_marginal import lattice
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.weight_table import per_instance_sum, tabulate
from hardpp.ops.lattice_grid import Grid
from hardpp.types import SequenceBatch


@torch.no_grad()
def draw_emissions(
    model: Any, guide: Any, batch: SequenceBatch, *, site: str, draws: int, at_once: int, exact: bool
) -> AlignmentDraws:
    """Runs the guide `draws` times and scores what it drew under the model.

    Args:
        model, guide: programs of decisions, in evaluation mode.
        batch: B utterances.
        site: the decisions' name.
        draws: K.
        at_once: how many of them share a run, which is what memory grows with.
        exact: also sum over all paths, which the model's decisions must allow.

    Raises:
        UsageError: fewer than one draw, or `exact` for a model whose sum is not a recursion.
    """
    if draws < 1 or at_once < 1:
        raise UsageError(f"at least 1 draw is needed, and 1 at once, got {draws} and {at_once}")
    grid = Grid.of(batch.source_mask, batch.target_mask, model.dwell)
    sizes = [min(at_once, draws - start) for start in range(0, draws, at_once)]
    chunks = [_chunk(model, guide, batch, grid, site, k) for k in sizes]
    frames, log_p, log_q = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    S = batch.source.shape[1]
    weights = (log_p - log_q).softmax(0)
    even = torch.full_like(weights, 1 / draws)
    enumerated = log_marginal = None
    if exact:
        enumerated, log_marginal = exact_emissions(model, batch)
    return AlignmentDraws(
        frames,
        log_p,
        log_q,
        None,
        None,
        _histogram(frames, even, S),
        _histogram(frames, weights, S),
        enumerated,
        log_marginal,
    )


@torch.no_grad()
def exact_emissions(model: Any, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """p(token t is emitted at frame s | frames, tokens), (B, T, S), and log p(tokens), (B,) in nats.

    Raises:
        UsageError: the model's decisions depend on all decisions before them.
    """
    paths = lattice(model, batch)
    grid, found = paths.grid, paths.emission_frames()  # (B, T, S + 1)
    S = batch.source.shape[1]
    frame = torch.arange(S + 1, device=found.device).minimum((grid.frames - 1).unsqueeze(-1))  # (B, S + 1)
    index = frame.unsqueeze(1).expand_as(found)
    return found.new_zeros(*found.shape[:-1], S).scatter_add(-1, index, found), paths.log_marginal()


def _chunk(
    model: Any, guide: Any, batch: SequenceBatch, grid: Grid, site: str, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    objective = SampledObjective(k)
    nesting = objective.program_nesting(model, guide, (batch,), {})
    guide_trace = particle_trace(guide, k, nesting, (batch,), {})
    model_trace = particle_trace(poutine.replay(model, trace=guide_trace), k, nesting, (batch,), {})
    table = tabulate(model_trace, guide_trace, k, nesting)
    decisions = guide_trace.nodes[site]["value"].reshape(k, batch.size, -1)
    at = grid.emitted_at(decisions).minimum((grid.frames - 1).unsqueeze(-1))
    log_p, log_q = (per_instance_sum(part.sum(-1), 1) for part in (table.log_p, table.log_q))
    return at, log_p, log_q


def _histogram(frames: Tensor, weights: Tensor, S: int) -> Tensor:
    K, B, T = frames.shape
    out = weights.new_zeros(B, T, S)
    return out.scatter_add(-1, frames.movedim(0, -1), weights.T.unsqueeze(1).expand(B, T, K))
