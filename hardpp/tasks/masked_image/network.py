"""The network that classifies partly seen images, its places, and their options."""

from math import ceil
from typing import NamedTuple

from pydantic import Field

from hardpp.config.section import WIDEST
from hardpp.models.masked_classifier import MaskedClassifier
from hardpp.nn.masked_image_network import MaskedImageNetwork
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.patch_options import PatchOptions

_MANY = 1.5  # times the pixels of an image


class MaskedImageOptions(PatchOptions):
    """What a glimpse is, where it may be, and sizes of the network."""

    many: bool = Field(
        False, description="show up to as many patches as have one and a half times the pixels of an image"
    )
    features: int = Field(
        16, ge=1, le=WIDEST, description="of the first layer; later ones have up to four times as many"
    )
    hidden: int = Field(256, ge=1, le=WIDEST, description="features before the last layer")


class MaskedImageParts(NamedTuple):
    """The model; its guide has no parts of its own."""

    model: MaskedClassifier


def masked_image_parts(options: MaskedImageOptions, description: ImagesDescription) -> MaskedImageParts:
    """Makes the model; a UsageError as for `PatchOptions.grid`."""
    grid, channels, glimpses = options.grid(description), description.size[0], options.glimpses
    if options.many:
        glimpses = max(glimpses, min(grid.places, ceil(_MANY * grid.size**2 / grid.patch**2)))
    network = MaskedImageNetwork(
        channels, grid.size, options.features, options.hidden, len(description.classes)
    )
    return MaskedImageParts(MaskedClassifier(network, grid, glimpses))
