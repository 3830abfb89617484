"""Images with a code: a variational autoencoder, and the same for images of which a part was seen.

    code   ~ Normal(0, I)                               or, with a prior,  p(code | seen pixels)
    pixels ~ DiscretisedLogistic(decoder(code))         each pixel and channel, given the code

With a prior, a network of the pixels that were seen, it is a conditional variational autoencoder:
p(image | seen) = E[p(image | code)]. One that imitates the encoder of whole images completes images, which is
inference by a pretrained autoencoder: it needs no labels, and leaves the decoder as it is.

Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes; Harvey, Naderiparizi and Wood (2022),
Conditional image generation by conditioning variational auto-encoders, section 3.
Shapes: B images, C channels, H x W pixels, D features of the code; ... = dims inference adds on the left.
"""

from typing import Any

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.code_space import CodeSpace
from hardpp.distributions.discretised_logistic import DiscretisedLogistic
from hardpp.types import PartlySeenBatch


class ImageVAE(PyroModule):
    """p(code, pixels), or p(code, pixels | seen); its parts are given, not built.

    Args:
        space: of the codes, D features.
        decoder: codes (..., D) -> location (..., C, H, W) and scale of grey values.
        prior: images (B, C, H, W) and what was seen of them (B, H, W) -> parameters of the space; None: codes
            are standard normal.
    """

    max_plate_nesting = 1  # images

    def __init__(self, space: CodeSpace, decoder: nn.Module, prior: nn.Module | None = None):
        super().__init__()
        self.space, self.decoder, self.prior = space, decoder, prior

    def forward(self, batch: PartlySeenBatch) -> Tensor:
        """Runs the program; returns the codes, (..., B, D)."""
        codes = self.codes(batch.source, batch.seen)
        with sites.images(batch.size, str(batch.source.device)):
            code = pyro.sample(sites.CODE, codes)
            pyro.sample(sites.PIXELS, self.pixels(code).to_event(3), obs=batch.source)
        return code

    def codes(self, pixels: Tensor, seen: Tensor) -> Any:
        """The distribution of codes before more is seen of images (B, C, H, W) than `seen`, (B, H, W)."""
        return self.standard if self.prior is None else self.space.distribution(self.prior(pixels, seen))

    @property
    def standard(self) -> Any:
        """Standard normal codes."""
        return self.space.standard(next(self.decoder.parameters()))

    def pixels(self, code: Tensor) -> DiscretisedLogistic:
        """The distribution of each pixel and channel, (..., C, H, W), given codes (..., D)."""
        return DiscretisedLogistic(*self.decoder(code))
