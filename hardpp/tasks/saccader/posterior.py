"""Draws of Saccader's places, weighed, and how probable each place is at each glimpse.

The groups are those of other glimpse models (`hardpp.diagnostics.glimpse_posterior`). The exact posterior
p(place | image, label) and log p(label | image) are summed over all sequences of places, where these are at
most `EXACT`. Places are numbered row by row.

Shapes: K draws, G glimpses, A places, V labels.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp import sites
from hardpp.decoding.saccades import centres
from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.glimpse_draws import (
    AT_ONCE,
    GlimpseDraws,
    NumberedImages,
    all_images,
    anew,
    picked,
    places_of_draws,
    values_of,
)
from hardpp.guides.prior import Prior
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.models.saccader import logits_at
from hardpp.types import ImageBatch

EXACT = 20_000  # sequences, repeated places included: what is summed over at once


@torch.no_grad()
def draw_places(
    model: Any,
    guide: Any,
    images: NumberedImages,
    *,
    draws: int,
    exact: bool,
    seed: int,
    at_once: int = AT_ONCE,
) -> GlimpseDraws:
    """Draws places from the guide and scores them under the model, which then predicts at its own.

    Args:
        model, guide: a `Saccader` in evaluation mode, and a guide over the same places.
        images: B; each draws from its own stream of random numbers, whichever others there are.
        draws: K, at most `at_once` of them in one run.
        exact: also sum over all sequences, if they are few.
        seed: of all streams.
    """
    field = model.representation.field
    side = field.places(images.source.shape[-1])

    def drawn(batch: ImageBatch) -> GlimpseDraws:
        tables = weight_tables(model, guide, batch, draws, at_once)
        portions = [(places_of(table), values_of(table, batch.size), table.log_weights) for table in tables]
        places, values, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
        centre = centres(field, places, side)
        return GlimpseDraws(
            centre,
            torch.zeros(centre.shape[:-1], dtype=torch.int32, device=centre.device),
            values,
            log_weight,
            *anew(_predicted(model, batch, draws, at_once)),
            batch.target.int(),
            *places_of_draws(places, log_weight, side),
            place=places,
        )

    found = all_images(images.drawn_alike(drawn, seed))
    if not exact or side ** (2 * model.glimpses) > EXACT:
        return found
    summed, prior = ExactMarginal(), Prior(model)
    names = [sites.glimpse(g) for g in range(1, model.glimpses + 1)]
    probabilities, bounds = [], []
    for image in images.one_by_one():  # there are many sequences to each
        by_glimpse = summed.posterior(model, prior, image)
        probabilities.append(torch.cat([by_glimpse[name] for name in names]).unflatten(-1, (side, side)))
        bounds.append(summed.estimate(model, prior, image).bound)
    return found._replace(exact=torch.stack(probabilities), log_marginal=torch.cat(bounds))


@torch.no_grad()
def one_draw(
    model: Any, guide: Any, batch: ImageBatch, draws: int, of: str, at_once: int = AT_ONCE
) -> Tensor:
    """One draw of the places of each image, (B, G), of those that `draw_places` makes: see `picked`."""
    tables = weight_tables(model, guide, batch, draws, at_once)
    portions = [(places_of(table), table.log_weights) for table in tables]
    places, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
    return picked(places, log_weight, of)


def places_of(table: WeightTable) -> Tensor:
    """The places that were drawn, (K, B, G), in the order of the glimpses."""
    drawn = {latent.guide["name"]: latent.guide["value"] for latent in table.latents}
    values = [drawn[sites.glimpse(g)] for g in range(1, len(drawn) + 1)]
    return torch.stack([value.reshape(len(table.log_q), -1) for value in values], -1)


# Probabilities (K, B, V) of labels after as many runs of the model's own.
def _predicted(model: Any, batch: ImageBatch, draws: int, at_once: int) -> Tensor:
    logits, own = model.view(batch.source).places.logits, []
    for table in weight_tables(model, Prior(model), batch, draws, at_once):
        seen = logits_at(logits, places_of(table).movedim(-1, 0)).mean(0)  # (K, B, V)
        own.append(seen.softmax(-1))
    return torch.cat(own)
