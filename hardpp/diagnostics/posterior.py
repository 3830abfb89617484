"""Posteriors as labelled arrays: from programs and batches to a netCDF file that ArviZ reads.

    posterior      alignment (chain, draw, sentence, step), -1 where padded
    sample_stats   log_weight, log_p, log_q (chain, draw, sentence); ess, pareto_k (sentence);
                   log_weight_step (chain, draw, sentence, step) where steps are independent
    alignment      prior, guide, marginal, exact (sentence, step, source): four answers to "where does
                   this step look" (see `hardpp.diagnostics.draws`), or those of utterances
                   (`hardpp.diagnostics.emissions`); log_marginal (sentence)
    observed_data  target (sentence, step), -1 where padded
    constant_data  source_length, target_length (sentence); source_mask, step_mask

Sentences carry their names, steps and sources their tokens (`target_token`, `source_token`). Floats
are NaN where padded, so that averages skip padding. There is one chain: draws from a guide are
independent, and several chains would claim several trained runs.

Shapes: K draws, N sentences, B of them a batch, T steps, S source positions.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr

from hardpp import __version__
from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.diagnostics.importance import effective_sample_size, pareto_k
from hardpp.diagnostics.labels import Array, Rows, Sentences, Variable, dataset, placed
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.types import Program

FILL = -1  # in integer arrays, where there is no step
_NATS = {"units": "nats"}


def sample_posterior(
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
        attributes: more attributes of the file (objective, guide, checkpoint, ...).

    Raises:
        ValueError: names that are not unique, or batches that do not fit the sentences.
        UsageError: programs without such a site, or fewer than one draw.
    """
    sentences.check()
    found: list[tuple[Rows, AlignmentDraws]] = []
    targets: list[tuple[Rows, Array]] = []
    for number, (rows, batch) in enumerate(batches):
        sentences.check_batch(rows, batch)
        # A stream for each batch: whatever is random in making the next batch stays out of it.
        with seeded(stream(seed, number), batch.source.device):
            result = draw(model, guide, batch, draws=draws, at_once=at_once, exact=exact)
        found.append((rows, result.cpu()))
        targets.append((rows, batch.target.cpu().numpy().astype(np.int32)))
    sentences.check_all_seen(row for rows, _ in found for row in rows)

    return _tree(sentences, found, targets, draws, {"seed": seed, **(attributes or {})})


def _tree(
    sentences: Sentences,
    found: list[tuple[Rows, AlignmentDraws]],
    targets: list[tuple[Rows, Array]],
    draws: int,
    attributes: Mapping[str, Any],
) -> xr.DataTree:
    source_mask, step_mask = sentences.source_mask(), sentences.step_mask()
    N, T = step_mask.shape
    every, cells = np.ones(N, dtype=bool), step_mask[:, :, None] & source_mask[:, None, :]
    first = found[0][1]
    stepwise = first.log_weight_step is not None

    def gather(field: str, mask: Array, leading: tuple[int, ...] = ()) -> Array:
        parts = [(rows, getattr(result, field).numpy()) for rows, result in found]
        return placed(parts, (*leading, *mask.shape), len(leading), mask, np.nan)

    alignment = [(rows, result.alignment.numpy().astype(np.int32)) for rows, result in found]
    log_p, log_q = gather("log_p", every, (draws,)), gather("log_q", every, (draws,))  # (K, N)
    log_weight = log_p - log_q
    per_draw = "chain draw sentence"
    statistics: dict[str, Variable] = {
        "log_weight": (per_draw, log_weight[None], _NATS),
        "log_p": (per_draw, log_p[None], _NATS),
        "log_q": (per_draw, log_q[None], _NATS),
        "ess": ("sentence", effective_sample_size(log_weight), {"units": "draws"}),
        "pareto_k": ("sentence", pareto_k(log_weight), {}),
    }
    if stepwise:
        steps = gather("log_weight_step", step_mask, (draws,))  # (K, N, T)
        statistics["log_weight_step"] = (f"{per_draw} step", steps[None], _NATS)
    looks = [name for name in ("prior", "guide", "marginal", "exact") if getattr(first, name) is not None]
    views: dict[str, Variable] = {}
    for name in looks:
        attrs = {"units": "probability"}
        if name == "marginal":
            attrs["weights"] = "per step" if stepwise else "per sentence"
        views[name] = ("sentence step source", gather(name, cells), attrs)
    if first.log_marginal is not None:
        views["log_marginal"] = ("sentence", gather("log_marginal", every), dict(_NATS))
    posterior = placed(alignment, (draws, N, T), 1, step_mask, FILL)[None]
    groups: dict[str, dict[str, Variable]] = {
        "posterior": {"alignment": (f"{per_draw} step", posterior, {"fill": FILL})},
        "sample_stats": statistics,
        "alignment": views,
        "observed_data": {
            "target": ("sentence step", placed(targets, (N, T), 0, step_mask, FILL), {"fill": FILL})
        },
        "constant_data": {
            "source_length": ("sentence", source_mask.sum(-1), {}),
            "target_length": ("sentence", step_mask.sum(-1), {}),
            "source_mask": ("sentence source", source_mask, {}),
            "step_mask": ("sentence step", step_mask, {}),
        },
    }
    nodes = {f"/{name}": dataset(sentences, variables) for name, variables in groups.items()}
    nodes["/sample_stats"].attrs["draws"] = "iid from guide"
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=provenance(attributes)), **nodes})


def provenance(attributes: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Attributes of a file: what made it and when, and those given, as texts and numbers."""
    attributes = {
        "inference_library": "hardpp",
        "inference_library_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **attributes,
    }
    # A netCDF attribute is a text or a number.
    return {
        name: value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)
        for name, value in attributes.items()
        if value is not None
    }
