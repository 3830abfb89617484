"""Recorded latents: what the model says of the choices that were recorded, and not drawn by the guide.

A guide marks them by its distributions (`hardpp.distributions.recorded`). There log q is 0, and the model's
own terms are not those of draws: no control variate has them, and they may have a weight of their own.

Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`), B data.
"""

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import (
    WITHIN_SUM,
    all_plates_of,
    elements,
    named,
    prior_unknown,
    recorded_at,
    steps_of,
)
from hardpp.inference.weights.stages import Stages
from hardpp.inference.weights.weight_table import Latent, WeightTable


def log_prior_of_recorded(table: WeightTable) -> Tensor:
    """The model's own terms of recorded latents, by stage like `WeightTable.log_prior`: (K, *I, N), in nats.

    Raises:
        UsageError: such a term is within a sum over latents that are not drawn, or the latent is in a plate
            that other sites do not share.
    """
    if table.particles:
        return table.by_particle(log_prior_of_recorded)
    stages = Stages({latent.guide["name"]: latent.guide for latent in table.latents})
    for latent in sorted(table.latents, key=lambda latent: latent.order):
        if latent.model is not None:
            where, steps = _recorded(latent, table), steps_of(latent.model)
            if where is not None:
                where = where if steps is None else where.unsqueeze(-1)
                own = latent.log_p.where(where, latent.log_p.new_zeros(()))
            stages.add(latent.guide["name"], steps, None if where is None else own)
    return stages.sums(table.log_p.new_zeros(()).expand(table.log_p.shape[:-1]))


def data_recorded(table: WeightTable) -> Tensor:
    """Of which data a latent was recorded, bool (B,)."""
    if table.particles:
        return data_recorded(table.particles[0])
    found = torch.zeros(table.layout.shape, dtype=torch.bool, device=table.log_p.device)
    for latent in table.latents:
        where = _recorded(latent, table)
        found = found if where is None else found | where.any(0)
    return table.layout.per_datum(found.long(), 0) > 0


# Where a latent was recorded and counts, bool (K or 1, *I); None: nowhere.
def _recorded(latent: Latent, table: WeightTable) -> Tensor | None:
    site, where = latent.guide, recorded_at(latent.guide)
    if where is None or latent.model is None:
        return None
    if latent.model["infer"].get(WITHIN_SUM):
        raise prior_unknown(site["name"])
    if any(plate.dim is not None and plate not in table.layout.instances for plate in all_plates_of(site)):
        raise UsageError(
            f"recorded latent site {site['name']!r} is in the plates ({named(all_plates_of(site))}), of "
            f"which other sites share ({named(table.layout.instances)}): its own term is not known apart"
        )
    counts, stepwise = elements(site)[1], steps_of(site) is not None
    if stepwise:
        where = where.unsqueeze(-1)
    where = where if counts is None else where & counts
    placed = table.layout.place_at(where.long(), site, len(table.log_q)) > 0
    return placed.any(-1) if stepwise else placed
