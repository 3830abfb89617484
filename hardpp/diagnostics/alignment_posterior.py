"""Posteriors over alignments as labelled arrays: sentences, their output steps and source positions.

    posterior      alignment (chain, draw, sentence, step), -1 where padded
    sample_stats   log_weight, log_p, log_q (chain, draw, sentence); ess, pareto_k (sentence);
                   log_weight_step (chain, draw, sentence, step) where steps are independent
    attention      prior, guide, marginal, exact (sentence, step, source), of alignments (see
                   `hardpp.diagnostics.draws`) or of utterances (`hardpp.diagnostics.emissions`);
                   log_marginal (sentence)
    observed_data  target (sentence, step), -1 where padded
    constant_data  source_length, target_length (sentence); source_mask, step_mask

Sentences carry their names, steps and sources their tokens (`target_token`, `source_token`). Floats
are NaN where padded, so that averages skip padding.

Shapes: K draws, N sentences, B of them a batch, T steps, S source positions.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.diagnostics.labelled_tree import (
    DRAW,
    NATS,
    PROBABILITY,
    Array,
    Rows,
    join_batches,
    labelled_tree,
    weight_statistics,
)
from hardpp.diagnostics.labels import Sentences
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.types import Program

FILL = -1  # in integer arrays, where there is no step


def sample_alignments(
    model: Program,
    guide: Program,
    batches: Iterable[tuple[Rows, Any]],
    sentences: Sentences,
    *,
    draw: Callable[..., AlignmentDraws],
    draws: int,
    seed: int,
    exact: bool = False,
    at_once: int = 32,
    attributes: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Draws alignments from the guide and labels everything that is known of them.

    Args:
        model, guide: Pyro programs in evaluation mode.
        batches: the sentences a batch holds (B numbers from 0 to N - 1) and the batch itself, on the
            programs' device; together they hold every sentence once.
        sentences: names and tokens of all N sentences.
        draw: what runs the programs on a batch: `draw_alignments` with its site, or `draw_emissions`.
        draws: K.
        seed: of the draws; the global random state is left alone.
        exact: also enumerate the model's posterior.
        at_once: draws that share a run of the programs; fewer take less memory and more time.
        attributes: more attributes of the tree (objective, guide, checkpoint, ...).

    Raises:
        ValueError: names that are not unique, or batches that do not fit the sentences.
        UsageError: programs without such a site, or fewer than one draw.
    """
    sentences.check()
    rows, results, targets = [], [], []
    for number, (batch_rows, batch) in enumerate(batches):
        sentences.check_batch(batch_rows, batch)
        # A stream for each batch: whatever is random in making the next batch stays out of it.
        with seeded(stream(seed, number), batch.source.device):
            result = draw(model, guide, batch, draws=draws, at_once=at_once, exact=exact)
        rows.append(batch_rows)
        results.append(result.cpu())
        targets.append(batch.target.cpu().int())
    sentences.check_all_seen(row for batch_rows in rows for row in batch_rows)

    def join(name: str, mask: Array) -> Array:
        return join_batches(rows, [getattr(result, name) for result in results], mask)

    source_mask, step_mask = sentences.source_mask(), sentences.step_mask()
    every, cells = np.ones(len(step_mask), dtype=bool), step_mask[:, :, None] & source_mask[:, None, :]
    log_p, log_q = join("log_p", every), join("log_q", every)  # (K, N)
    per_draw, fill = (*DRAW, "sentence"), {"fill": FILL}
    statistics = weight_statistics(log_p - log_q, "sentence")
    statistics |= {
        "log_p": xr.Variable(per_draw, log_p[None], NATS),
        "log_q": xr.Variable(per_draw, log_q[None], NATS),
    }
    stepwise = results[0].log_weight_step is not None
    if stepwise:
        log_weight_step = join("log_weight_step", step_mask)  # (K, N, T)
        statistics["log_weight_step"] = xr.Variable((*per_draw, "step"), log_weight_step[None], NATS)
    attention = {
        view: xr.Variable(("sentence", "step", "source"), join(view, cells), PROBABILITY)
        for view in results[0].views
    }
    attention["marginal"].attrs["weights"] = "per step" if stepwise else "per sentence"
    if results[0].log_marginal is not None:
        attention["log_marginal"] = xr.Variable("sentence", join("log_marginal", every), NATS)
    drawn = join_batches(rows, [result.alignment.int() for result in results], step_mask, FILL)
    observed = join_batches(rows, targets, step_mask, FILL)
    groups = {
        "posterior": {"alignment": xr.Variable((*per_draw, "step"), drawn[None], fill)},
        "sample_stats": statistics,
        "attention": attention,
        "observed_data": {"target": xr.Variable(("sentence", "step"), observed, fill)},
        "constant_data": {
            "source_length": xr.Variable("sentence", source_mask.sum(-1)),
            "target_length": xr.Variable("sentence", step_mask.sum(-1)),
            "source_mask": xr.Variable(("sentence", "source"), source_mask),
            "step_mask": xr.Variable(("sentence", "step"), step_mask),
        },
    }
    return labelled_tree(groups, sentences.coordinates(), seed=seed, attributes=attributes)
