"""The guide of Saccader that replays sequences on record.

Shapes: B images, G glimpses, A places.
"""

from collections.abc import Mapping

import torch
from torch import nn

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.guides.replay import Known, Replay
from hardpp.ops.nearest_places import nearest_places
from hardpp.ops.receptive_field import ReceptiveField
from hardpp.tasks.saccader.network import SaccaderParts
from hardpp.types import ImageBatch


class RecordedPlaces:
    """The places whose windows have their middles nearest to recorded centres; the first G of each sequence.

    No place is visited twice: of glimpses that are nearest to one, the later take the nearest that is left.

    Args:
        field: the windows that places see.
        side: pixels a side of the images.
        glimpses: G.
    """

    def __init__(self, field: ReceptiveField, side: int, glimpses: int):
        self.field, self.side, self.glimpses = field, side, glimpses

    def __call__(self, batch: ImageBatch) -> Mapping[str, Known] | None:
        """Of a batch with sequences of at least G glimpses."""
        if batch.recorded is None:
            return None
        centre = batch.recorded[:, : self.glimpses]  # (B, G, 2)
        along = self.field.places(self.side)
        corners = self.field.corners(torch.arange(along**2, device=centre.device), along)  # (A, 2)
        middles = (2 * corners + self.field.side) / self.side - 1
        place = nearest_places(centre.nan_to_num(), middles, once=True)
        there = ~centre.isnan().flatten(1).any(1)
        return {sites.glimpse(g): Known(each, there) for g, each in enumerate(place.unbind(-1), start=1)}


def replay_guide(parts: SaccaderParts) -> nn.Module:
    """The sequences on record, and the model's own policy elsewhere; a UsageError without glimpses."""
    if parts.options.reading != "glimpses":
        raise UsageError(f"guide replay replays glimpses, and network.reading is {parts.options.reading}")
    places = RecordedPlaces(parts.representation.field, parts.side, parts.options.glimpses)
    return Replay(Prior(parts.model), places)
