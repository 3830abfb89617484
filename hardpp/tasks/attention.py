"""Attention of a run over the positions or regions of a batch, and likelihoods in nats.

Shapes: B data, T output steps or questions, S source positions or regions.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.data.images.rasters import Box
from hardpp.diagnostics.seeds import seeded
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch


class Attention(NamedTuple):
    """Weights over positions, (B, T, S) each; they sum to 1."""

    prior: Tensor  # before the output is seen
    guide: Tensor
    posterior: Tensor  # once the output is known, by enumeration


VIEWS = ("posterior", "guide", "prior")
DRAWS = 50  # of a guide that cannot be summed out


def attention(run: OpenedRun, batch: Any, site: str) -> Attention:
    """Prior, guide and exact posterior of the alignment at a site."""
    return Attention(**_views(run, batch, site, exact=True))


def attention_weights(run: OpenedRun, batch: Any, site: str, view: str) -> Tensor:
    """One of `VIEWS`, (B, T, S); the posterior is only computed where it is asked for."""
    weights: Tensor = _views(run, batch, site, exact=view == "posterior")[view]
    return weights


def weights_of_items(
    run: OpenedRun, batches: Iterable[tuple[Sequence[int], SequenceBatch]], site: str, view: str
) -> list[Tensor]:
    """The weights of every item by itself, without padding and on the host: (T, S) each.

    Batches hold all items, each with the indices of its own, and the view is one of `VIEWS`.
    """
    weights: dict[int, Tensor] = {}
    for indices, batch in batches:
        lengths = (mask.sum(-1).tolist() for mask in (batch.target_mask, batch.source_mask))
        of_batch = attention_weights(run, batch, site, view).cpu()
        for index, padded, T, S in zip(indices, of_batch, *lengths, strict=True):
            weights[index] = padded[:T, :S]
    return [weights[index] for index in range(len(weights))]


def total_bound(objective: SurrogateObjective, model: Any, guide: Any, batch: Any) -> float:
    """The bound, summed over the data of a batch, in nats."""
    with torch.no_grad():
        return float(objective.estimate(model, guide, batch).bound.sum())


def exact_and_gap(run: OpenedRun, batch: Any) -> tuple[float, float]:
    """log p(y) and KL(guide || exact posterior), both summed over a batch, in nats.

    The divergence is exact, but for a guide whose steps depend on one another: of it `DRAWS` are drawn, from
    a seed of their own.
    """
    exact = total_bound(ExactMarginal(), *run.programs, batch)
    if getattr(run.programs.guide, "joined_plate", None) is None:
        return exact, exact - total_bound(EnumeratedELBO(), *run.programs, batch)
    with seeded(0, batch.target.device):
        return exact, exact - total_bound(ScoreFunctionELBO(DRAWS), *run.programs, batch)


def total_entropy(weights: Tensor, mask: Tensor) -> float:
    """Entropy in nats of weights (B, T, S), summed where the mask (B, T) is True."""
    return float(-torch.special.xlogy(weights, weights).sum(-1)[mask].sum())


def centre_inside(box: Box, gold: Sequence[float], tolerance: float = 0.0, *, edges: bool = False) -> bool:
    """Does the centre of a box lie inside another box, give or take so many pixels on each side?

    Boxes are left, top, right, bottom in pixels. A centre on the left or top edge is inside if `edges` are.
    """
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = gold[0] - tolerance, gold[1] - tolerance
    after = left <= x and top <= y if edges else left < x and top < y
    return after and x < gold[2] + tolerance and y < gold[3] + tolerance


def _views(run: OpenedRun, batch: Any, site: str, *, exact: bool) -> dict[str, Any]:
    from hardpp.diagnostics.draws import draw_alignments

    draws = draw_alignments(*run.programs, batch, site=site, draws=1, at_once=1, exact=exact)
    return {"prior": draws.prior, "guide": draws.guide, "posterior": draws.exact}
