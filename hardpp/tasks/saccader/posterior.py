"""Posterior draws of Saccader's places, weighed, and how probable each place is at each glimpse.

The groups are those of other glimpse models (`hardpp.diagnostics.glimpse_posterior`), with `place` among the
draws, and

    attention   marginal (image, glimpse, place): how often the weighed draws are at a place
                exact (image, glimpse, place): p(place | image, label), and log_marginal (image):
                log p(label | image), summed over all sequences of places, where these are at most `EXACT`

Places are numbered row by row; `row` and `column` are the first pixels that each sees.

Shapes: K draws, N images, G glimpses, A places, V labels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp import sites
from hardpp.decoding.saccades import centres
from hardpp.diagnostics.draws import weight_tables, weighted_frequencies
from hardpp.diagnostics.glimpse_posterior import GlimpseDraws, Images
from hardpp.diagnostics.posterior import DRAW, NATS, PIXELS, PROBABILITY, Variables
from hardpp.guides.prior import Prior
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.models.saccader import logits_at
from hardpp.types import ImageBatch

EXACT = 20_000  # sequences, repeated places included: what is summed over at once


class PlaceDraws(NamedTuple):
    """Places of one image, and their probabilities."""

    glimpses: GlimpseDraws
    place: Tensor  # (K, G) int64
    marginal: Tensor  # (G, A)
    exact: Tensor | None  # (G, A)
    log_marginal: Tensor | None  # () nats

    def cpu(self) -> "PlaceDraws":
        exact, log_marginal = (None if part is None else part.cpu() for part in self[3:])
        return PlaceDraws(self.glimpses.cpu(), self.place.cpu(), self.marginal.cpu(), exact, log_marginal)


class PlaceLabels(NamedTuple):
    """What images, their classes and the places are called."""

    images: Images
    corners: Tensor  # (A, 2) row and column of the first pixel of each place

    def coordinates(self) -> Variables:
        row, column = self.corners.cpu().numpy().T
        own = {"row": xr.Variable("place", row, PIXELS), "column": xr.Variable("place", column, PIXELS)}
        return {**self.images.coordinates(), **own}

    def groups(self, rows: Sequence[int], draws: Sequence[PlaceDraws]) -> dict[str, Variables]:
        groups = self.images.groups(rows, [draw.glimpses for draw in draws])
        by_image = [draw for _, draw in sorted(zip(rows, draws, strict=True), key=lambda pair: pair[0])]

        def joined(parts: Sequence[Any]) -> Any:
            return np.stack([part.numpy() for part in parts])

        place = joined([draw.place for draw in by_image]).swapaxes(0, 1)[None]  # (1, K, N, G)
        posterior = {**groups["posterior"], "place": xr.Variable((*DRAW, "image", "glimpse"), place)}
        dims = ("image", "glimpse", "place")
        attention = {"marginal": xr.Variable(dims, joined([d.marginal for d in by_image]), PROBABILITY)}
        if by_image[0].exact is not None:
            attention["exact"] = xr.Variable(dims, joined([d.exact for d in by_image]), PROBABILITY)
            attention["log_marginal"] = xr.Variable("image", joined([d.log_marginal for d in by_image]), NATS)
        return {**groups, "posterior": posterior, "attention": attention}


@torch.no_grad()
def draw_places(
    model: Any, guide: Any, image: ImageBatch, *, draws: int, exact: bool, at_once: int = 500
) -> PlaceDraws:
    """Draws places from the guide and scores them under the model, which then predicts at its own.

    Args:
        model, guide: a `Saccader` in evaluation mode, and a guide over the same places.
        image: a batch of one.
        draws: K, at most `at_once` of them in one run.
        exact: also sum over all sequences, if they are few.
    """
    field = model.representation.field
    side = field.places(image.source.shape[-1])
    tables = weight_tables(model, guide, image, draws, at_once)
    portions = [(places_of(table)[:, 0], table.log_weights[:, 0]) for table in tables]
    places, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))  # (K, G), (K,)
    centre = centres(field, places, side)
    scale = torch.zeros(centre.shape[:-1], dtype=torch.int32, device=centre.device)
    own = _predicted(model, image, draws, at_once)
    glimpses = GlimpseDraws(centre, scale, log_weight, own, image.target[0].int())
    weight = log_weight.softmax(0).view(-1, 1, 1)
    marginal = weighted_frequencies(places.unsqueeze(1), weight, side**2)[0]
    if not exact or side ** (2 * model.glimpses) > EXACT:
        return PlaceDraws(glimpses, places, marginal, None, None)
    summed, prior = ExactMarginal(), Prior(model)
    by_glimpse = summed.posterior(model, prior, image)
    names = [sites.glimpse(g) for g in range(1, model.glimpses + 1)]
    bound = summed.estimate(model, prior, image).bound[0]
    return PlaceDraws(glimpses, places, marginal, torch.cat([by_glimpse[name] for name in names]), bound)


@torch.no_grad()
def best_draw(model: Any, guide: Any, image: ImageBatch, draws: int) -> Tensor:
    """One draw of the places of an image, (1, G), picked among so many of the guide by its weight."""
    (table,) = weight_tables(model, guide, image, draws, at_once=draws)
    chosen = table.log_weights[:, 0].softmax(-1).multinomial(1)
    return places_of(table)[chosen, 0]


def places_of(table: WeightTable) -> Tensor:
    """The places that were drawn, (K, B, G), in the order of the glimpses."""
    drawn = {latent.guide["name"]: latent.guide["value"] for latent in table.latents}
    values = [drawn[sites.glimpse(g)] for g in range(1, len(drawn) + 1)]
    return torch.stack([value.reshape(len(table.log_q), -1) for value in values], -1)


# Probabilities (V,) of labels: the mean of as many runs of the model's own.
def _predicted(model: Any, image: ImageBatch, draws: int, at_once: int) -> Tensor:
    logits = model.view(image.source).places.logits
    total = logits.new_zeros(logits.shape[-1])
    for table in weight_tables(model, Prior(model), image, draws, at_once):
        seen = logits_at(logits, places_of(table).movedim(-1, 0)).mean(0)  # (K, 1, V)
        total += seen.softmax(-1).sum((0, 1))
    return total / draws
