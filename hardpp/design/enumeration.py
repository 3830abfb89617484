"""Completion by enumeration: every image that there may be, weighed by how well it agrees with what was seen.

    log W_n = log prior_n - sum over seen pixels of (x_n - x)^2 / (2 s^2)

It is exact where images come from a finite set, such as scenes with few latent values, and are seen with
Gaussian noise of deviation s; and the reference that samplers are compared with.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.3, whose likelihood has s^2 =
twice the variance.
Shapes: N images, C channels, height x width each.
"""

import torch
from torch import Tensor

from hardpp.design.completion import Completions


class Enumeration:
    """All images that there may be.

    Args:
        images: (N, C, height, width) uint8.
        deviation: of the noise, in grey values from 0 to 255.
        log_prior: (N,), up to a constant; None: all are as likely.
    """

    def __init__(self, images: Tensor, deviation: float = 1.0, log_prior: Tensor | None = None):
        if deviation <= 0:
            raise ValueError(f"the deviation is above 0, not {deviation}")
        self.images, self.deviation, self.log_prior = images, deviation, log_prior

    def complete(self, pixels: Tensor, seen: Tensor, seed: int) -> Completions:
        """All images, weighed; `seed` is not used."""
        where = seen.flatten().nonzero().squeeze(-1)
        ours = self.images.flatten(2)[..., where].double()  # (N, C, seen)
        theirs = pixels.flatten(1)[..., where].double()
        log_weights = -(ours - theirs).square().sum((1, 2)) / (2 * self.deviation**2)
        if self.log_prior is not None:
            log_weights = log_weights + self.log_prior
        return Completions(self.images, log_weights.to(torch.float64))
