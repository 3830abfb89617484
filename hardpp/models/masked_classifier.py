"""Classification of an image of which a few patches are shown, at random places.

    location[g] ~ Uniform(places not yet taken)         g = 0 .. G-1
    shown       ~ Uniform{0 .. G}                       how many of these are looked at
    label       ~ Categorical(network(image where it is seen, what is seen))

Trained so, the network gives p(label | any few patches) in one pass, so that places can be judged by what
they would tell (`hardpp.design.sequences`). There is no policy to learn: places are drawn evenly.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.2 (attentional variational
posterior CNN), whose network was never shown nothing, and never all G patches.
Shapes: B images, G glimpses, V labels, L places; height x width the image; ... = dims inference adds on the
left.
"""

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.distinct_places import DistinctPlaces
from hardpp.distributions.location_spaces import GridSpace, WindowPlaces
from hardpp.ops.patch_grid import PatchGrid
from hardpp.types import ImageBatch


class MaskedClassifier(PyroModule):
    """p(label, places | image); its network is given, not built.

    Args:
        network: pixels (N, channels, height, width), zero where they were not seen, and what was seen
            (N, height, width) bool -> logits (N, V).
        grid: the places.
        glimpses: G, the most patches that are shown.

    Raises:
        ValueError: more glimpses than places.
    """

    max_plate_nesting = 1  # images

    def __init__(self, network: nn.Module, grid: PatchGrid, glimpses: int):
        super().__init__()
        if glimpses > grid.places:
            raise ValueError(f"{glimpses} glimpses cannot be at different ones of {grid.places} places")
        self.network, self.grid, self.glimpses = network, grid, glimpses

    def forward(self, batch: ImageBatch) -> Tensor:
        """Runs the program; returns the locations, (..., B, G)."""
        device = batch.source.device
        with sites.images(batch.size, str(device)):
            locations = pyro.sample(sites.LOCATION, self.policy(batch.source))
            even = torch.zeros(self.glimpses + 1, device=device)
            shown = pyro.sample(sites.SHOWN, Categorical(logits=even))
            logits = self.logits(batch.source, self.seen(locations, shown))
            pyro.sample(sites.LABEL, Categorical(logits=logits), obs=batch.target)
        return locations

    @property
    def space(self) -> GridSpace:
        """The locations."""
        size, patch, cells, last = self.grid
        return GridSpace(cells, windows=WindowPlaces(size, size, patch, last))

    def policy(self, images: Tensor) -> DistinctPlaces:
        """The distribution of the locations of images (B, channels, height, width)."""
        return DistinctPlaces(self.grid.places, self.glimpses, len(images), images.device)

    def sample_locations(self, images: Tensor, draws: int = 1) -> Tensor:
        """Draws of the locations, (draws, B, G)."""
        return self.policy(images).sample((draws,))

    def seen(self, locations: Tensor, shown: Tensor) -> Tensor:
        """The pixels, (..., height, width) bool, of the first `shown` (...) patches of locations (..., G)."""
        return self.grid.seen(locations, shown)

    def logits(self, images: Tensor, seen: Tensor) -> Tensor:
        """Logits (..., B, V) of images (B, channels, height, width) uint8, seen (..., B, height, width)."""
        pixels = images.to(torch.float32) / 255 * seen.unsqueeze(-3)
        logits: Tensor = self.network(
            pixels.flatten(0, -4), seen.expand(*pixels.shape[:-3], -1, -1).flatten(0, -3)
        )
        return logits.unflatten(0, pixels.shape[:-3])

    def labels(self, images: Tensor, locations: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log p of labels before and after each glimpse, (..., B, G + 1, V), of locations (..., B, G).

        Where `lengths` (..., B) is given, glimpses of an image beyond so many are not looked at.
        """
        numbers = torch.arange(locations.shape[-1] + 1, device=locations.device)
        counts = [number if lengths is None else lengths.clamp(max=int(number)) for number in numbers]
        return torch.stack(
            [self.logits(images, self.seen(locations, count)) for count in counts], -2
        ).log_softmax(-1)
