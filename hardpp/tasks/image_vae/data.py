"""Batches of partly seen images: in training a few patches at random places, when asked a given number.

Shapes: B images, T patches.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hardpp.data.images.labelled import ImagePart, collate
from hardpp.diagnostics.seeds import stream
from hardpp.ops.patch_grid import PatchGrid
from hardpp.ops.random_patches import random_seen
from hardpp.types import ImageBatch, PartlySeenBatch


class SeenAtRandom:
    """What is seen of images that are trained on.

    Args:
        grid: the places of patches.
        most: patches of an image; it has from none to so many.
        seed: of the draws.
    """

    def __init__(self, grid: PatchGrid, most: int, seed: int):
        self.grid, self.most, self.seed = grid, most, seed

    def batch(self, part: ImagePart, indices: Sequence[int], epoch: int, number: int) -> PartlySeenBatch:
        """The batch of a number in an epoch."""
        return self.of(collate(part, indices, epoch), stream(stream(self.seed, epoch), number))

    def of(self, batch: ImageBatch, seed: int) -> PartlySeenBatch:
        """Images as parts of them are seen, by a seed of the batch's own."""
        generator = torch.Generator().manual_seed(seed)
        seen = random_seen(self.grid, batch.size, self.most, generator)
        return PartlySeenBatch(batch.source, batch.target, seen.to(batch.source.device))


def seen_at(batch: ImageBatch, grid: PatchGrid, places: Tensor) -> PartlySeenBatch:
    """Images seen at places (B, T)."""
    return PartlySeenBatch(batch.source, batch.target, grid.seen(places).to(batch.source.device))
