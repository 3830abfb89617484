"""Places at random of images that a run is asked about.

Shapes: B images, T patches.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hardpp.diagnostics.seeds import stream
from hardpp.ops.patch_grid import PatchGrid
from hardpp.ops.random_patches import random_places


def places_of(grid: PatchGrid, indices: Sequence[int], patches: int, seed: int) -> Tensor:
    """Places (B, T) at random, of images by their indices: the same whichever others are there."""
    generators = [torch.Generator().manual_seed(stream(seed, index)) for index in indices]
    return torch.cat([random_places(grid, 1, patches, generator) for generator in generators])
