"""Where a run on partly seen images looks: at random, at the middle first, or where a file of sequences says.

Shapes: B images, G glimpses, L places.
"""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import UsageError
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.labelled_images import SelectedImages
from hardpp.tasks.opened_run import OpenedRun

PolicyName = Literal["random", "centre"]


class MaskedImageDecoding(Section):
    """Which patches are shown when a run is asked about images."""

    glimpses: int | None = Field(None, ge=0, description="how many; left out: as many as in training")
    policy: PolicyName = Field("random", description="what chooses the places")
    sequences: str | None = Field(None, description="file of hardpp design that chooses them instead")
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws")


def glimpses_of(run: OpenedRun, options: MaskedImageDecoding) -> int:
    """G, how many glimpses are asked for; a UsageError if there are fewer places."""
    model: Any = run.programs.model
    asked = model.glimpses if options.glimpses is None else options.glimpses
    if asked > model.grid.places:
        raise UsageError(f"decoding.glimpses: {asked} glimpses cannot be at {model.grid.places} places")
    return int(asked)


def places(run: OpenedRun, images: SelectedImages, rows: range, options: MaskedImageDecoding) -> Tensor:
    """The places (B, G) of some of the images; those of an image do not depend on which others are there."""
    model: Any = run.programs.model
    count = glimpses_of(run, options)
    if options.policy == "centre":
        return central(model.grid)[:count].expand(len(rows), -1).to(run.device)
    drawn = []
    for row in rows:
        with seeded(stream(options.seed, images.indices[row]), torch.device("cpu")):
            drawn.append(torch.randperm(model.grid.places)[:count])
    return torch.stack(drawn).to(run.device)


def central(grid: PatchGrid) -> Tensor:
    """All places (L,), from the one nearest to the middle of the image on."""
    corners = grid.corners(torch.arange(grid.places)).double()
    away = (corners + grid.patch / 2 - grid.size / 2).square().sum(-1)
    return away.sort(stable=True).indices
