"""Image classification from a few glimpses: the model chooses where each glimpse is (hard visual attention).

    location[g] ~ space.distribution(head(state[g - 1], context))     # centre and scale of the glimpse
    state[g]    = core(glimpse(image, location[g]), state[g - 1])
    label       ~ Categorical(readout(state[G - 1]))

The first location is drawn from what is known before any glimpse: nothing, or the context, which is computed
from the image at low resolution and reaches the choice of locations only. With `every_glimpse` the label is
predicted after every glimpse and observed as the geometric mean of the predictions
(`hardpp.distributions.repeated_label`), so all of them are trained; without it, only the last is.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models; Mnih et al.
(2014) and Ba, Mnih and Kavukcuoglu (2015) for the networks.
Shapes: B data, G glimpses, H features of the state, M of the context, V labels; ... = dims inference adds on
the left.
"""

from typing import Any

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.glimpses import Glimpses
from hardpp.distributions.location_spaces import Space
from hardpp.distributions.repeated_label import RepeatedLabel
from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.nn.glimpse_reader import Core, GlimpseReader, Head
from hardpp.ops.patches import Sensor
from hardpp.types import ImageBatch


class GlimpseClassifier(PyroModule):
    """p(label, locations | image); its parts are given, not built.

    Args:
        sensor: the pixels that a glimpse shows; it has as many scales as the space.
        space: the locations that a glimpse may have.
        network: patches and locations -> features.
        core: the recurrence over glimpses, H features.
        head: states (..., H) and context (..., M) or None -> parameters of the space.
        readout: states (..., H) -> logits (..., V).
        glimpses: G.
        context: images -> (B, M), None to know nothing before the first glimpse.
        every_glimpse: observe the label after every glimpse, each with weight 1 / G.
        detached: states learn nothing from the choice of locations, as in RAM: the score function reaches
            the head (and the context) only.
        revisits: may a glimpse be where an earlier one was? See `hardpp.distributions.glimpses`.

    Raises:
        ValueError: no glimpse, or different numbers of scales in the space and the sensor.
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
        readout: nn.Module,
        glimpses: int,
        *,
        context: nn.Module | None = None,
        every_glimpse: bool = False,
        detached: bool = False,
        revisits: bool = True,
    ):
        super().__init__()
        if glimpses < 1 or sensor.scales != space.scales:
            raise ValueError(
                f"expected at least one glimpse and as many scales to choose from as the sensor has, got "
                f"{glimpses} glimpses and {space.scales} scales for a sensor of {sensor.scales}"
            )
        self.sensor, self.space, self.glimpses = sensor, space, glimpses
        self.network, self.core, self.head, self.readout = network, core, head, readout
        self.context, self.every_glimpse, self.detached = context, every_glimpse, detached
        self.revisits = revisits

    def forward(self, batch: ImageBatch) -> Tensor:
        """Runs the program; returns the locations, (..., B, G, *event)."""
        reader = self.reader(batch.source)
        policy = Glimpses(reader, self.space, self.glimpses, batch.size, revisits=self.revisits)
        with sites.images(batch.size, str(batch.source.device)):
            locations = pyro.sample(sites.LOCATION, policy)
            states = reader.states(locations)
            if self.every_glimpse:
                pyro.sample(sites.LABEL, RepeatedLabel(self.readout(states)), obs=batch.target)
            else:
                logits = self.readout(states[..., -1, :])
                pyro.sample(sites.LABEL, Categorical(logits=logits), obs=batch.target)
        return locations

    def reader(self, images: Tensor) -> GlimpseReader:
        """Reads glimpses of images (B, channels, height, width)."""
        context = None if self.context is None else self.context(images)
        return GlimpseReader(
            images, self.sensor, self.space, self.network, self.core, self.head, context,
            detached=self.detached,
        )  # fmt: skip

    def sample_locations(self, images: Tensor, draws: int = 1) -> Tensor:
        """Draws of the locations from the model's own policy, (draws, B, G, *event)."""
        return self.policy(images).sample((draws,))

    def policy(self, images: Tensor) -> Glimpses:
        """The distribution of the locations, given images (B, channels, height, width)."""
        return Glimpses(self.reader(images), self.space, self.glimpses, len(images), revisits=self.revisits)

    def labels(self, images: Tensor, locations: Tensor) -> Tensor:
        """Log p of labels after each glimpse, (..., B, G, V), of locations (..., B, G, *event)."""
        return self.said(self.policy(images), locations)

    def said(self, policy: Glimpses, locations: Tensor) -> Tensor:
        """The same, given the policy for the images; what it has drawn itself need not be read again."""
        reader: Any = policy.policy
        return self.readout(reader.states(locations)).log_softmax(-1)
