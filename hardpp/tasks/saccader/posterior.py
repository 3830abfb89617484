"""Posterior draws of Saccader's places, weighed, as the posterior of other glimpse models.

Shapes: K draws, G glimpses, V labels.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp import sites
from hardpp.decoding.saccades import centres
from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.glimpse_posterior import GlimpseDraws
from hardpp.guides.prior import Prior
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.models.saccader import logits_at
from hardpp.types import ImageBatch


@torch.no_grad()
def draw_places(model: Any, guide: Any, image: ImageBatch, *, draws: int, at_once: int = 500) -> GlimpseDraws:
    """Draws places from the guide and scores them under the model, which then predicts at its own.

    Args:
        model, guide: a `Saccader` in evaluation mode, and a guide over the same places.
        image: a batch of one.
        draws: K, at most `at_once` of them in one run.
    """
    field = model.representation.field
    side = field.places(image.source.shape[-1])
    portions = []
    for table in weight_tables(model, guide, image, draws, at_once):
        places = places_of(table)[:, 0]  # (K, G)
        portions.append((centres(field, places, side), table.log_weights[:, 0]))
    centre, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
    own = _predicted(model, image, draws, at_once)
    scale = torch.zeros(centre.shape[:-1], dtype=torch.int32, device=centre.device)
    return GlimpseDraws(centre, scale, log_weight, own, image.target[0].int())


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
