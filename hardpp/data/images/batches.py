"""Batches of labelled images.

Shapes: B images.
"""

from collections.abc import Sequence

from hardpp.data.images.labelled import ImagePart
from hardpp.data.order import length_buckets
from hardpp.types import ImageBatch


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of places, decided by seed and epoch; the last batch may be smaller.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    return length_buckets([0] * count, [0] * count, batch_size, seed, epoch)


def collate(part: ImagePart, places: Sequence[int], epoch: int = 0) -> ImageBatch:
    """Read the images at those places, as they are in an epoch, and their labels.

    Raises:
        ValueError: There are no places.
        DataError: An image cannot be read.
    """
    if not places:
        raise ValueError("expected at least one image a batch, got none")
    return ImageBatch(part.read(places, epoch).pixels, part.labels[list(places)])
