"""Completion of an image: whole images that agree with the part of one that was seen.

Anything with such a `complete` will do: an enumeration of all images that there may be
(`hardpp.design.enumeration`), retrieval from a database, or a learnt sampler.

Shapes: N completions, C channels, height x width the image.
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class Completions(NamedTuple):
    """Images that agree with what was seen, as far as their weights say."""

    pixels: Tensor  # (N, C, height, width) uint8
    log_weights: Tensor  # (N,), up to a constant


class Completion(Protocol):
    """What completes images."""

    def complete(self, pixels: Tensor, seen: Tensor, seed: int) -> Completions:
        """Completes an image.

        Args:
            pixels: (C, height, width) uint8; only those that were seen are read.
            seen: (height, width) bool.
            seed: of draws; where nothing was seen the result depends on nothing else.
        """
