"""The network that classifies partly seen images, its places, and their options."""

from typing import NamedTuple

from pydantic import Field

from hardpp.config import Section
from hardpp.errors import UsageError
from hardpp.models.masked_classifier import MaskedClassifier
from hardpp.nn.masked_image_network import MaskedImageNetwork
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.labelled_images import ImagesDescription


class MaskedImageOptions(Section):
    """What a glimpse is, where it may be, and sizes of the network."""

    glimpses: int = Field(5, ge=1, description="the most patches of an image that are shown")
    patch: int = Field(12, ge=1, description="pixels a side of a patch")
    cells: int = Field(13, ge=1, description="places a side; the first and the last lie at the borders")
    last: int | None = Field(
        None, ge=0, description="the first pixel of the last patch, where that is not at the border"
    )
    features: int = Field(
        24, ge=8, multiple_of=8, description="of the first layer; later ones have up to four times as many"
    )
    hidden: int = Field(256, ge=1, description="features before the last layer")

    def grid(self, description: ImagesDescription) -> PatchGrid:
        """The places on images as described.

        Raises:
            UsageError: images are not square, or patches and places do not fit on them.
        """
        _, height, width = description.size
        if height != width:
            raise UsageError(f"images of {height} by {width} pixels: glimpses are designed on square ones")
        if self.patch > height:
            raise UsageError(f"network.patch: {self.patch} pixels are more than the {height} of an image")
        room = height - self.patch
        last = room if self.last is None else self.last
        if last > room:
            raise UsageError(
                f"network.last: a patch of {self.patch} pixels that begins at {last} ends outside of "
                f"{height} pixels"
            )
        if self.cells > last + 1:
            raise UsageError(f"network.cells: there are {last + 1} different places a side, not {self.cells}")
        return PatchGrid(height, self.patch, self.cells, self.last)


class MaskedImageParts(NamedTuple):
    """The model; its guide has no parts of its own."""

    model: MaskedClassifier


def masked_image_parts(options: MaskedImageOptions, description: ImagesDescription) -> MaskedImageParts:
    """Makes the model; a UsageError as for `MaskedImageOptions.grid`, or if there are too many glimpses."""
    grid, channels = options.grid(description), description.size[0]
    if options.glimpses > grid.places:
        raise UsageError(f"network.glimpses: {options.glimpses} glimpses cannot be at {grid.places} places")
    network = MaskedImageNetwork(
        channels, grid.size, options.features, options.hidden, len(description.classes)
    )
    return MaskedImageParts(MaskedClassifier(network, grid, options.glimpses))
