"""What an image shows, from a few glimpses of it.

    place[t] ~ space.distribution(head(state[t - 1], context))        # where, and at which scale, to look
    state[t] = core(glimpse(image, place[t]), state[t - 1])
    label    ~ Categorical(readout(state[T - 1]))

The first place is drawn as all others, from what is known before any glimpse: nothing, or the context, a
reading of the image in small that reaches the choice of places only. With `every_glimpse` the label is
predicted after every glimpse and observed as the geometric mean of the predictions
(`hardpp.distributions.repeated_label`), which calibrates all of them; without, only the last is trained.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models; Mnih et al.
(2014) and Ba, Mnih and Kavukcuoglu (2015) for the networks.
Shapes: B data, C channels, T glimpses, H features of the state, M of the context, V labels; ... = dims
inference adds on the left.
"""

from typing import NamedTuple

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.glimpses import Glimpses
from hardpp.distributions.location_spaces import Space
from hardpp.distributions.repeated_label import RepeatedLabel
from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.nn.glimpse_reader import Core, GlimpseReader
from hardpp.ops.patches import Sensor
from hardpp.types import ImageBatch


class Sensed(NamedTuple):
    """How many of an image's pixels were looked at, (..., B, T) after each glimpse, int64."""

    policy: Tensor  # by what chooses the places: all of them if there is a context
    classifier: Tensor  # by what answers: those in a window of a glimpse


class GlimpseClassifier(PyroModule):
    """p(label, places | image), from parts that are given rather than built.

    Args:
        sensor: what a glimpse sees; it has as many scales as the space.
        space: where it may be.
        network: patches and places -> features.
        core: the recurrence over glimpses, H features.
        head: states (..., H) and context (..., M) or None -> parameters of the space.
        readout: states (..., H) -> logits (..., V).
        glimpses: T.
        context: images -> (B, M), None to begin blindfold.
        every_glimpse: observe the label after every glimpse, each with weight 1 / T.
        detached: states learn nothing from the choice of places, as in RAM: the score function reaches the
            head (and the context) only.
        revisits: may a glimpse be where an earlier one was? See `hardpp.distributions.glimpses`.

    Raises:
        ValueError: no glimpse, or another number of scales in the space than in the sensor.
    """

    max_plate_nesting = 1  # images
    network: GlimpseNetwork
    core: Core

    def __init__(
        self,
        sensor: Sensor,
        space: Space,
        network: GlimpseNetwork,
        core: Core,
        head: nn.Module,
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
                f"expected a glimpse at least and as many scales to choose from as the sensor has, got "
                f"{glimpses} glimpses and {space.scales} scales for a sensor of {sensor.scales}"
            )
        self.sensor, self.space, self.glimpses = sensor, space, glimpses
        self.network, self.core, self.head, self.readout = network, core, head, readout
        self.context, self.every_glimpse, self.detached = context, every_glimpse, detached
        self.revisits = revisits

    def forward(self, batch: ImageBatch) -> Tensor:
        """Runs the program; returns the places, (..., B, T, *event)."""
        reader = self.reader(batch.source)
        with sites.images(batch.size, str(batch.source.device)):
            places = pyro.sample(
                sites.LOCATION,
                Glimpses(reader, self.space, self.glimpses, batch.size, revisits=self.revisits),
            )
            states = reader.states(places)
            if self.every_glimpse:
                pyro.sample(sites.LABEL, RepeatedLabel(self.readout(states)), obs=batch.target)
            else:
                logits = self.readout(states[..., -1, :])
                pyro.sample(sites.LABEL, Categorical(logits=logits), obs=batch.target)
        return places

    def reader(self, images: Tensor) -> GlimpseReader:
        """Images (B, C, height, width), ready to be looked at."""
        context = None if self.context is None else self.context(images)
        return GlimpseReader(
            images, self.sensor, self.space, self.network, self.core, self.head, context,
            detached=self.detached,
        )  # fmt: skip

    def look(self, images: Tensor, draws: int = 1) -> Tensor:
        """Places as the model chooses them by itself: (draws, B, T, *event)."""
        return self.policy(images).sample((draws,))

    def policy(self, images: Tensor) -> Glimpses:
        """The distribution of the places of images (B, C, height, width)."""
        return Glimpses(self.reader(images), self.space, self.glimpses, len(images), revisits=self.revisits)

    def labels(self, images: Tensor, places: Tensor) -> Tensor:
        """Log-probabilities of labels after each glimpse, (..., B, T, V), at places (..., B, T, *event)."""
        return self.readout(self.reader(images).states(places)).log_softmax(-1)

    def sensed(self, images: Tensor, places: Tensor) -> Sensed:
        """The pixels looked at, at given places (..., B, T, *event), each counted once."""
        height, width = images.shape[-2:]
        at, scale, _ = self.space.places(places)
        counts = [
            self.sensor.coverage(
                at[..., : t + 1, :], None if scale is None else scale[..., : t + 1], height, width
            ).sum((-1, -2))
            for t in range(self.glimpses)
        ]
        seen = torch.stack(counts, -1)
        return Sensed(seen if self.context is None else torch.full_like(seen, height * width), seen)
