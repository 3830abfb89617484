"""Batches whose targets the model makes up, with the source positions that they came from.

Shapes: B data, S source positions, T steps.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from hardpp.data.vocabulary import BOUNDARY, UNKNOWN
from hardpp.decoding.ancestral import draw_outputs
from hardpp.tasks.answers.calibration.simulation_based import Simulated
from hardpp.types import SequenceBatch


def simulate(
    model: Any, batches: Iterable[SequenceBatch], site: str, longest: Callable[[SequenceBatch], int]
) -> Iterator[Simulated]:
    """The sources of batches with targets of the model's own, whose positions are those of a site.

    Targets that do not end, or hold the symbol for unknown ones, are left out: that depends on the target
    alone, so the posterior of those that are left is what it was.

    Args:
        model: one that `hardpp.decoding.ancestral` can draw from.
        batches: whose sources are taken; their targets are not looked at.
        site: the name of the latent.
        longest: after how many symbols a target of a batch is given up.
    """
    for batch in batches:
        drawn = draw_outputs(model, batch.source, batch.source_mask, max_steps=longest(batch))
        ends = drawn.symbols == BOUNDARY
        length = ends.int().argmax(-1, keepdim=True) + 1  # the end included
        mask = torch.arange(ends.shape[1], device=ends.device) < length
        kept = ends.any(-1) & ~((drawn.symbols == UNKNOWN) & mask).any(-1)
        if bool(kept.any()):
            target, positions = (
                values.masked_fill(~mask, 0)[kept, : int(length[kept].max())] for values in drawn
            )
            made_up = SequenceBatch(
                batch.source[kept], batch.source_mask[kept], target, mask[kept, : target.shape[1]]
            )
            yield Simulated(made_up, {site: positions})
