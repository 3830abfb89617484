"""Guides for codes of images: from the whole image, and from what was seen of it.

    encoder          q(code | image)                the usual guide of a variational autoencoder
    partial encoder  q(code | seen pixels, mask)    sees as much as somebody who completes the image

Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes; Harvey, Naderiparizi and Wood (2022),
Conditional image generation by conditioning variational auto-encoders, section 3.
Shapes: B images, D features of the code.
"""

from typing import Any

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.code_space import CodeSpace
from hardpp.types import PartlySeenBatch


class CodeOfImage(PyroModule):
    """q(code | image).

    Args:
        space: of the codes.
        network: images (B, C, H, W) -> parameters of the space.
    """

    max_plate_nesting = 1  # images

    def __init__(self, space: CodeSpace, network: nn.Module):
        super().__init__()
        self.space, self.network = space, network

    def forward(self, batch: PartlySeenBatch) -> Tensor:
        """Runs the program; returns the codes, (..., B, D)."""
        codes = self.codes(batch.source)
        with sites.images(batch.size, str(batch.source.device)):
            return pyro.sample(sites.CODE, codes)

    def codes(self, pixels: Tensor) -> Any:
        """The distribution of codes of images (B, C, H, W)."""
        return self.space.distribution(self.network(pixels))


class CodeOfPart(PyroModule):
    """q(code | seen pixels, mask).

    Args:
        space: of the codes.
        network: images (B, C, H, W) and what was seen of them (B, H, W) -> parameters of the space.
    """

    max_plate_nesting = 1  # images

    def __init__(self, space: CodeSpace, network: nn.Module):
        super().__init__()
        self.space, self.network = space, network

    def forward(self, batch: PartlySeenBatch) -> Tensor:
        """Runs the program; returns the codes, (..., B, D)."""
        codes = self.codes(batch.source, batch.seen)
        with sites.images(batch.size, str(batch.source.device)):
            return pyro.sample(sites.CODE, codes)

    def codes(self, pixels: Tensor, seen: Tensor) -> Any:
        """The distribution of codes of images (B, C, H, W) seen at (B, H, W)."""
        return self.space.distribution(self.network(pixels, seen))
