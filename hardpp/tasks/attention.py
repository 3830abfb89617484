"""Attention of a run over the positions or regions of a batch, and likelihoods in nats.

Shapes: B data, T output steps or questions, S source positions or regions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.data.images.rasters import Box
from hardpp.diagnostics.draws import AlignmentDraws, draw_alignments
from hardpp.diagnostics.seeds import seeded, stream, stream_of
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.answers.calibration.simulation_based import Choices, Simulated
from hardpp.tasks.answers.decoded import in_place
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch


class Attention(NamedTuple):
    """Weights over positions, (B, T, S) each; they sum to 1."""

    prior: Tensor  # before the output is seen
    guide: Tensor
    posterior: Tensor  # once the output is known, by enumeration


VIEWS = ("posterior", "guide", "prior")
VIEW_NAMES = {"prior": "prior", "guide": "guide", "posterior": "exact posterior"}  # as pictures call them


def attention(run: OpenedRun, batch: Any, site: str) -> Attention:
    """Prior, guide and exact posterior of the alignment at a site."""
    return Attention(**_views(run, batch, site, exact=True))


def attention_weights(run: OpenedRun, batch: Any, site: str, view: str) -> Tensor:
    """One of `VIEWS`, (B, T, S); the posterior is only computed where it is asked for.

    A guide whose steps depend on one another has no weights of its own: they are how often draws of the run's
    `sampling` are at a position.
    """
    weights: Tensor = _views(run, batch, site, exact=view == "posterior")[view]
    return weights


def weights_of_items(
    run: OpenedRun, batches: Iterable[tuple[Sequence[int], SequenceBatch]], site: str, view: str
) -> list[Tensor]:
    """The weights of every item by itself, without padding and on the host: (T, S) each.

    Batches hold all items, each with the indices of its own, and the view is one of `VIEWS`.
    """

    def unpadded(_: Any, batch: SequenceBatch) -> list[Tensor]:
        lengths = (mask.sum(-1).tolist() for mask in (batch.target_mask, batch.source_mask))
        of_batch = attention_weights(run, batch, site, view).cpu()
        return [padded[:T, :S] for padded, T, S in zip(of_batch, *lengths, strict=True)]

    return in_place(run.each(batches, unpadded))


def choices_at(run: OpenedRun, simulated: Simulated, site: str, view: str) -> Choices:
    """The weights of one of `VIEWS` at every step of a simulated batch, and the positions in truth."""
    weights, mask = attention_weights(run, simulated.batch, site, view), simulated.batch.target_mask
    return Choices(weights[mask].cpu(), simulated.latents[site][mask].cpu())


def total_bound(objective: SurrogateObjective, model: Any, guide: Any, batch: Any) -> float:
    """The bound, summed over the data of a batch, in nats."""
    with torch.no_grad():
        return float(objective.estimate(model, guide, batch).bound.sum())


def exact_and_gap(run: OpenedRun, batch: Any) -> tuple[float, float]:
    """log p(y) and KL(guide || exact posterior), both summed over a batch, in nats."""
    exact, divergence = run.guide_divergence(*run.programs, batch)
    return float(exact.sum()), float(divergence.sum())


def total_entropy(weights: Tensor, mask: Tensor) -> float:
    """Entropy in nats of weights (B, T, S), summed where the mask (B, T) is True."""
    return float(-torch.special.xlogy(weights, weights).sum(-1)[mask].sum())


def mean_entropies(weights: Iterable[Tensor]) -> list[float]:
    """Entropy in nats of the weights (T, S) of each item, the mean over its steps."""
    entropies = (-torch.special.xlogy(of_item, of_item).sum(-1).mean() for of_item in weights)
    return [float(entropy) for entropy in entropies]


def centre_inside(box: Box, gold: Sequence[float], tolerance: float = 0.0, *, edges: bool = False) -> bool:
    """Does the centre of a box lie inside another box, give or take so many pixels on each side?

    Boxes are left, top, right, bottom in pixels. A centre on the left or top edge is inside if `edges` are.
    """
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = gold[0] - tolerance, gold[1] - tolerance
    after = left <= x and top <= y if edges else left < x and top < y
    return after and x < gold[2] + tolerance and y < gold[3] + tolerance


def drawn_batches(
    run: OpenedRun, batches: Iterable[tuple[list[int], SequenceBatch]], site: str
) -> tuple[Iterator[tuple[list[int], SequenceBatch]], Callable[[int, Any], int]]:
    """Batches as they are drawn from, and which stream of random numbers is whose.

    They are as they come, by their numbers, where nothing is asked of a guide but its own distribution; else
    each datum by itself, so that it is drawn alike whichever others are there.
    """
    every = iter(batches)
    first = next(every)
    every = chain([first], every)
    if not _draws(run, first[1], site, exact=False).guide_drawn:
        return every, lambda number, batch: number
    alone = (
        ([index], one) for indices, batch in every for index, one in zip(indices, apart(batch), strict=True)
    )
    return alone, lambda number, batch: datum_stream(batch)


def apart(batch: SequenceBatch) -> Iterator[SequenceBatch]:
    """Every datum of a batch as a batch of its own, without padding."""
    for row in range(batch.size):
        S, T = int(batch.source_mask[row].sum()), int(batch.target_mask[row].sum())
        source = batch.source[row : row + 1]
        if batch.source.shape[1] == batch.source_mask.shape[1]:  # else pixels, which are never padded
            source = source[:, :S]
        sides = (batch.source_mask[row : row + 1, :S], batch.target[row : row + 1, :T])
        yield SequenceBatch(source, *sides, batch.target_mask[row : row + 1, :T])


def datum_stream(batch: SequenceBatch) -> int:
    """The stream of random numbers of the only datum of a batch."""
    return stream_of(batch.source, batch.target)


def _views(run: OpenedRun, batch: Any, site: str, *, exact: bool) -> dict[str, Any]:
    draws = _draws(run, batch, site, exact=exact)
    guide = draws.guide
    if draws.guide_drawn:
        guide = torch.zeros_like(guide)
        for row, one in enumerate(apart(batch)):
            with seeded(stream(run.sampling.seed, datum_stream(one)), run.device):
                found = draw_alignments(*run.programs, one, site=site, draws=run.sampling.draws).guide[0]
            guide[row, : found.shape[0], : found.shape[1]] = found
    return {"prior": draws.prior, "guide": guide, "posterior": draws.exact}


# Of two draws, which tell whether a step depends on others; its own distribution does not depend on them.
def _draws(run: OpenedRun, batch: Any, site: str, *, exact: bool) -> AlignmentDraws:
    with seeded(run.sampling.seed, run.device):
        summed = run.exact_marginal if exact else None
        return draw_alignments(*run.programs, batch, site=site, draws=2, at_once=2, exact=summed)
