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
from hardpp.diagnostics.glimpse_posterior import (
    AT_ONCE,
    GlimpseDraws,
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
    model: Any, guide: Any, image: ImageBatch, *, draws: int, exact: bool, at_once: int = AT_ONCE
) -> GlimpseDraws:
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
    portions = [(places_of(table)[:, 0], values_of(table), table.log_weights[:, 0]) for table in tables]
    places, drawn, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))  # (K, G), ...
    centre = centres(field, places, side)
    found = GlimpseDraws(
        centre,
        torch.zeros(centre.shape[:-1], dtype=torch.int32, device=centre.device),
        drawn,
        log_weight,
        *anew(_predicted(model, image, draws, at_once)),
        image.target[0].int(),
        *places_of_draws(places, log_weight, side),
        place=places,
    )
    if not exact or side ** (2 * model.glimpses) > EXACT:
        return found
    summed, prior = ExactMarginal(), Prior(model)
    by_glimpse = summed.posterior(model, prior, image)
    names = [sites.glimpse(g) for g in range(1, model.glimpses + 1)]
    probability = torch.cat([by_glimpse[name] for name in names]).unflatten(-1, (side, side))
    return found._replace(exact=probability, log_marginal=summed.estimate(model, prior, image).bound[0])


@torch.no_grad()
def one_draw(
    model: Any, guide: Any, image: ImageBatch, draws: int, of: str, at_once: int = AT_ONCE
) -> Tensor:
    """One draw of the places of an image, (1, G), of those that `draw_places` makes: see `picked`."""
    tables = weight_tables(model, guide, image, draws, at_once)
    portions = [(places_of(table), table.log_weights[:, 0]) for table in tables]
    places, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
    return places[picked(log_weight, of)]


def places_of(table: WeightTable) -> Tensor:
    """The places that were drawn, (K, B, G), in the order of the glimpses."""
    drawn = {latent.guide["name"]: latent.guide["value"] for latent in table.latents}
    values = [drawn[sites.glimpse(g)] for g in range(1, len(drawn) + 1)]
    return torch.stack([value.reshape(len(table.log_q), -1) for value in values], -1)


# Probabilities (K, V) of labels after as many runs of the model's own.
def _predicted(model: Any, image: ImageBatch, draws: int, at_once: int) -> Tensor:
    logits, own = model.view(image.source).places.logits, []
    for table in weight_tables(model, Prior(model), image, draws, at_once):
        seen = logits_at(logits, places_of(table).movedim(-1, 0)).mean(0)  # (K, 1, V)
        own.append(seen.softmax(-1)[:, 0])
    return torch.cat(own)
