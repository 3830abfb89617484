"""Draws of the guide on one batch of utterances, and three views of the frame at which each token is emitted.

    guide     how often a draw of the guide emits token t at frame s
    marginal  the same, each draw with its importance weight: the model's posterior, estimated
    exact     p(token t is emitted at frame s | frames, tokens), by the recursion over all paths

An emission after the last frame counts as one at the last frame. The views are those of
`hardpp.diagnostics.draws`, with frames for positions; before the tokens are known a model of decisions has
no distribution of their frames, so there is no prior.

Shapes: K draws, B data, T tokens (the end mark included), S frames.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.diagnostics.draws import AlignmentDraws, latent_at, weight_tables, weighted_frequencies
from hardpp.inference.sums.lattice_marginal import lattice
from hardpp.inference.weights.particles import particle_trace
from hardpp.ops.lattice_grid import Grid
from hardpp.types import SequenceBatch

AT_ONCE = 100  # draws


class Boundary(NamedTuple):
    """When one token gives way to the next, as far as that is known: the median of its posterior."""

    time: float  # seconds
    low: float  # seconds, from here
    high: float  # to here it lies with the interval's probability


@torch.no_grad()
def draw_emissions(
    model: Any,
    guide: Any,
    batch: SequenceBatch,
    *,
    site: str,
    draws: int,
    at_once: int = AT_ONCE,
    exact: bool,
    observed: str | None = None,
) -> AlignmentDraws:
    """Draws decisions from the guide and scores them under the model.

    Args:
        model, guide: programs of decisions, in evaluation mode.
        batch: B utterances.
        site: the decisions' name.
        draws: K, at most `at_once` of them in one run.
        exact: also sum over all paths, which the model's decisions must allow.
        observed: the name of the tokens; where it is given they are drawn anew as often, each given the true
            ones before it, at decisions of the model's own.

    Raises:
        UsageError: fewer than one draw, or `exact` for a model whose sum is not a recursion.
    """
    grid = Grid.of(batch.source_mask, batch.target_mask, model.dwell)
    portions = []
    for table in weight_tables(model, guide, batch, draws, at_once):
        decisions = latent_at(table, site).guide["value"].reshape(len(table.log_q), batch.size, -1)
        emitted_at = grid.emitted_at(decisions).minimum((grid.frames - 1).unsqueeze(-1))  # (k, B, T)
        log_p, log_q = (table.layout.per_datum(part.sum(-1), 1) for part in (table.log_p, table.log_q))
        portions.append((emitted_at, log_p, log_q))
    frames, log_p, log_q = (torch.cat(parts) for parts in zip(*portions, strict=True))
    S, weights = batch.source.shape[1], (log_p - log_q).softmax(0).unsqueeze(-1)  # (K, B, 1)
    posterior, log_marginal = exact_emissions(model, batch) if exact else (None, None)
    return AlignmentDraws(
        frames,
        batch.target,
        batch.source_mask,
        batch.target_mask,
        log_p,
        log_q,
        guide=weighted_frequencies(frames, torch.full_like(weights, 1 / draws), S),
        marginal=weighted_frequencies(frames, weights, S),
        exact=posterior,
        log_marginal=log_marginal,
        replicated=None if observed is None else _tokens_anew(model, batch, observed, draws, at_once),
        guide_drawn=True,
    )


# (K, B, T): drawn at decisions that the model draws knowing how many tokens there are.
def _tokens_anew(model: Any, batch: SequenceBatch, site: str, draws: int, at_once: int) -> Tensor:
    portions = []
    for start in range(0, draws, at_once):
        k = min(at_once, draws - start)
        trace = particle_trace(model, k, model.max_plate_nesting, (batch,), {}, role="model")
        drawn: Tensor = trace.nodes[site]["fn"].one_ahead()
        portions.append(drawn.reshape(-1, *batch.target.shape))
    return torch.cat(portions)


@torch.no_grad()
def exact_emissions(model: Any, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """p(token t is emitted at frame s | frames, tokens), (B, T, S), and log p(tokens), (B,) in nats.

    Raises:
        UsageError: the model's decisions depend on all decisions before them.
    """
    paths = lattice(model, batch)
    probabilities = paths.emission_frames()  # (B, T, S + 1)
    S, last = batch.source.shape[1], (paths.grid.frames - 1).unsqueeze(-1)
    frame = torch.arange(S + 1, device=last.device).minimum(last)  # (B, S + 1)
    index = frame.unsqueeze(1).expand_as(probabilities)
    exact = probabilities.new_zeros(*probabilities.shape[:-1], S).scatter_add(-1, index, probabilities)
    return exact, paths.log_marginal()
