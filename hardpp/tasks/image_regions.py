"""Regions of images: the grid that a network cuts pixels into, and how often attention hits the right ones.

Shapes: B data, T output steps or questions, S regions.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from hardpp.data.images.rasters import Box
from hardpp.errors import UsageError
from hardpp.nn.grid_encoder import grid_boxes, window_side

Kernels = Annotated[list[Annotated[int, Field(ge=2, le=1000)]], Field(min_length=1, max_length=16)]


def region_count(kernels: Sequence[int], height: int, width: int) -> int:
    """How many regions S a network of these kernels cuts an image into; none is a UsageError."""
    boxes = grid_boxes(height, width, kernels)
    if not boxes:
        side = window_side(kernels)
        region = f"network.kernels: a region of {side} x {side} pixels"
        raise UsageError(
            f"{region} is larger than images of {height} x {width}", "give fewer or smaller kernels"
        )
    return len(boxes)


def likeliest_regions(attention: Any) -> dict[str, list[list[int]]]:
    """The region with the most weight at every step of an `Attention`, on the host: view -> (B, T)."""
    return {view: weights.argmax(-1).tolist() for view, weights in attention._asdict().items()}


def region_hits(
    likeliest: Mapping[str, list[list[int]]], row: int, step: int, inside: Sequence[bool]
) -> dict[str, bool]:
    """Is the likeliest region of a view one of the right ones, at a step of one datum: `hit_prior`, ...

    `likeliest` is of a batch, and `inside` says which of the S regions are right.
    """
    return {f"hit_{view}": inside[regions[row][step]] for view, regions in likeliest.items()}


def mean_figures(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every figure over rows which have the same figures; nothing if there are no rows."""
    totals: dict[str, float] = defaultdict(float)
    count = 0
    for row in rows:
        count += 1
        for name, value in row.items():
            totals[name] += value
    return {name: total / count for name, total in totals.items()}


def likeliest_region(weights: Tensor, boxes: Sequence[Box]) -> tuple[str, str, str]:
    """Cells of a table for weights (S): the likeliest region, its box in pixels, and its probability."""
    probability, region = weights.max(-1)
    return str(int(region)), " ".join(f"{side:g}" for side in boxes[int(region)]), f"{probability:.4f}"
