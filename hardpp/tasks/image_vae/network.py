"""The networks of variational autoencoders of images and of their guides, and their options."""

from typing import Literal, NamedTuple

from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Widths
from hardpp.distributions.code_space import CodeSpace
from hardpp.guides.image_code import CodeOfImage, CodeOfPart
from hardpp.models.image_vae import ImageVAE
from hardpp.nn.image_code import ImageDecoder, ImageEncoder
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.patch_options import PatchOptions


class ImageVAEOptions(PatchOptions):
    """What codes are before an image is seen, what is seen of it, and sizes of the networks."""

    prior: Literal["partial-encoder", "standard"] = Field(
        "partial-encoder",
        description="of codes: what a network says of them that sees a part of the image, or standard normal",
    )
    code: int = Field(32, ge=1, le=WIDEST, description="features of a code")
    components: int = Field(8, ge=1, le=1000, description="normals that the partial encoder mixes")
    planes: Widths = Field([16, 32, 32, 64], description="channels of layers, each of which halves the image")
    hidden: int = Field(256, ge=1, le=WIDEST, description="features between these layers and the code")


class ImageVAEParts(NamedTuple):
    """The model, and what a guide for it is made from."""

    model: ImageVAE
    options: ImageVAEOptions
    grid: PatchGrid
    channels: int

    def encoder(self, space: CodeSpace, *, partly: bool) -> ImageEncoder:
        """A network that says the parameters of codes."""
        size, options = (self.grid.size, self.grid.size), self.options
        return ImageEncoder(
            self.channels, size, options.planes, options.hidden, space.parameters, partly=partly
        )


def image_vae_parts(options: ImageVAEOptions, description: ImagesDescription) -> ImageVAEParts:
    """Makes the model.

    Raises:
        UsageError: as for `PatchOptions.grid`.
    """
    grid, channels = options.grid(description), description.size[0]
    space, size = partial_space(options), (grid.size, grid.size)
    decoder = ImageDecoder(options.code, channels, size, options.planes, options.hidden)
    parts = ImageVAEParts(ImageVAE(space, decoder), options, grid, channels)
    if options.prior == "standard":
        return parts
    return parts._replace(model=ImageVAE(space, decoder, parts.encoder(space, partly=True)))


def partial_space(options: ImageVAEOptions) -> CodeSpace:
    """The codes that a partial encoder gives."""
    return CodeSpace(options.code, options.components)


def encoder_guide(parts: ImageVAEParts) -> nn.Module:
    """Codes of whole images."""
    space = CodeSpace(parts.options.code)
    return CodeOfImage(space, parts.encoder(space, partly=False))


def partial_encoder_guide(parts: ImageVAEParts) -> nn.Module:
    """Codes of partly seen images."""
    space = partial_space(parts.options)
    return CodeOfPart(space, parts.encoder(space, partly=True))
