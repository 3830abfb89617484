"""Regions that a network cuts images into, as an option of model families."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.nn.grid_encoder import grid_boxes, window_side

Kernels = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1, max_length=16)]


def regions(config: RunConfig) -> Callable[[int, int], int]:
    """How many regions a run's network cuts images into, by height and width.

    Raises (when called):
        UsageError: the images are smaller than one region.
    """

    def count(height: int, width: int) -> int:
        kernels = config.network["kernels"]
        found = len(grid_boxes(height, width, kernels))
        if not found:
            side = window_side(kernels)
            raise UsageError(
                f"network.kernels: a region of {side} x {side} pixels is larger than images of {height} x "
                f"{width}",
                "give fewer or smaller kernels",
            )
        return found

    return count
