"""Parts of images to practise on: so many patches, none to a few, at random places.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, whose masks have 1 to T - 1 patches;
here none and all T of them, too.
Shapes: B images, T patches, L places of the grid.
"""

import torch
from torch import Tensor

from hardpp.ops.patch_grid import PatchGrid


def random_places(grid: PatchGrid, count: int, patches: int, generator: torch.Generator) -> Tensor:
    """Places (B, T), each image's all different and every order of them as likely.

    Args:
        grid: the places.
        count: B.
        patches: T, at most L.
        generator: of the draws, on the CPU.
    """
    return torch.rand(count, grid.places, generator=generator).argsort(-1)[:, :patches]


def random_seen(grid: PatchGrid, count: int, most: int, generator: torch.Generator) -> Tensor:
    """What is seen of images by none to `most` patches, as likely each: (B, size, size) bool."""
    patches = torch.randint(0, most + 1, (count,), generator=generator)
    return grid.seen(random_places(grid, count, most, generator), patches)
