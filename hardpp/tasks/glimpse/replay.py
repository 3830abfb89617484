"""The guide of glimpse classifiers that replays sequences on record.

Shapes: B images, G glimpses.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from hardpp import sites
from hardpp.guides.prior import Prior
from hardpp.guides.replay import Known, Replay
from hardpp.tasks.glimpse.network import GlimpseParts
from hardpp.types import ImageBatch


class RecordedLocations:
    """The locations of a model that are nearest to recorded centres; the first G of each sequence.

    Args:
        model: a `hardpp.models.glimpse_classifier.GlimpseClassifier`.
    """

    def __init__(self, model: Any):
        self.space, self.glimpses, self.revisits = model.space, model.glimpses, model.revisits

    def __call__(self, batch: ImageBatch) -> Mapping[str, Known] | None:
        """Of a batch with sequences of at least G glimpses."""
        if batch.recorded is None:
            return None
        centre = batch.recorded[:, : self.glimpses]  # (B, G, 2)
        value = self.space.nearest(centre.nan_to_num(), revisits=self.revisits)
        return {sites.LOCATION: Known(value, ~centre.isnan().flatten(1).any(1))}


def replay_guide(parts: GlimpseParts) -> nn.Module:
    """The sequences on record, and the model's own policy elsewhere."""
    return Replay(Prior(parts.model), RecordedLocations(parts.model))
