"""A guide for glimpse models that knows the label: q(locations | image, label), one glimpse after the other.

    location[g] ~ space.distribution(head(state[g - 1], clue(context, embedding(label))))
    state[g]    = core(glimpse(image, location[g]), state[g - 1])

It proposes locations from which the model could have recognised the label, and is used in training only. Its
networks may be its own or the model's.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models.
Shapes: B data, G glimpses, E features of a label, M of the context; ... = dims inference adds on the left.
"""

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.glimpses import Glimpses
from hardpp.distributions.location_spaces import Space
from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.nn.glimpse_reader import Core, GlimpseReader, Head
from hardpp.ops.patches import Sensor
from hardpp.types import ImageBatch


class LabelInformed(PyroModule):
    """Locations as above; the parts are given, not built.

    Args:
        sensor, space, glimpses, revisits: as the model's.
        network, core: see `hardpp.models.glimpse_classifier`.
        head: states (..., H) and the output of `clue` (..., .) -> parameters of the space.
        embedding: labels (B,) -> (B, E).
        clue: context and embedded label, (B, M + E), or (B, E) without a context -> (B, .).
        context: images -> (B, M), None for none.
    """

    max_plate_nesting = 1  # images
    network: GlimpseNetwork
    core: Core
    head: Head

    def __init__(
        self,
        sensor: Sensor,
        space: Space,
        network: GlimpseNetwork,
        core: Core,
        head: Head,
        embedding: nn.Module,
        clue: nn.Module,
        glimpses: int,
        *,
        context: nn.Module | None = None,
        revisits: bool = True,
    ):
        super().__init__()
        self.sensor, self.space, self.glimpses = sensor, space, glimpses
        self.network, self.core, self.head = network, core, head
        self.embedding, self.clue, self.context = embedding, clue, context
        self.revisits = revisits

    def forward(self, batch: ImageBatch) -> Tensor:
        """Runs the guide; returns the locations, (..., B, G, *event)."""
        features = self.embedding(batch.target)
        if self.context is not None:
            features = torch.cat([self.context(batch.source), features], -1)
        reader = GlimpseReader(
            batch.source, self.sensor, self.space, self.network, self.core, self.head, self.clue(features)
        )
        policy = Glimpses(reader, self.space, self.glimpses, batch.size, revisits=self.revisits)
        with sites.images(batch.size, str(batch.source.device)):
            return pyro.sample(sites.LOCATION, policy)
