"""Where a run on partly seen images looks: at random, at the middle first, or where a file of sequences says.

Shapes: B images, G glimpses, L places.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.data.images.glimpse_sequence_header import Corner
from hardpp.data.images.glimpse_sequences import check_fits, read
from hardpp.data.images.recorded_glimpses import designed_for
from hardpp.errors import DataError, UsageError
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.labelled_images import SelectedImages
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.random_places import places_of

PolicyName = Literal["random", "centre"]


class MaskedImageDecoding(Section):
    """Which patches are shown when a run is asked about images."""

    glimpses: int | None = Field(
        None, le=1000, ge=0, description="how many; left out: as many as in training"
    )
    policy: PolicyName | None = Field(None, description="what chooses the places: random, if left out")
    sequences: str | None = Field(None, description="file of hardpp design that chooses them instead")
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws")


def glimpses_of(run: OpenedRun, options: MaskedImageDecoding) -> int:
    """G, how many glimpses are asked for; a UsageError if there are fewer places."""
    model: Any = run.programs.model
    asked = options.glimpses if options.glimpses is not None else run.network.glimpses
    if asked > model.grid.places:
        raise UsageError(f"decoding.glimpses: {asked} glimpses cannot be at {model.grid.places} places")
    return int(asked)


def shown_by(options: MaskedImageDecoding) -> str:
    """What pictures say of the places that `Gazes` gives."""
    if options.sequences is not None:
        return f"places of {Path(options.sequences).name}"
    return "places from the middle on" if options.policy == "centre" else "places drawn at random (prior)"


class Gaze(NamedTuple):
    """Where some images are looked at."""

    places: Tensor  # (B, G)
    lengths: Tensor  # (B,) how many of them are; only sequences of a file may end before G


class Gazes:
    """Where the images that a run is asked about are looked at, as the options say.

    Raises:
        UsageError: more glimpses than places, or both a policy and sequences.
        DataError: sequences cannot be read, are of other images, or have none of one of these.
    """

    def __init__(self, run: OpenedRun, images: SelectedImages, options: MaskedImageDecoding):
        model: Any = run.programs.model
        self.grid, self.device = model.grid, run.device
        self.images, self.options, self.glimpses = images, options, glimpses_of(run, options)
        self.sequences: dict[str, list[Corner]] | None = None
        if options.sequences is not None:
            if options.policy is not None:
                raise UsageError("--policy and --sequences choose the same places: give one of them")
            self.sequences = self._read(Path(options.sequences))

    def at(self, rows: range) -> Gaze:
        """Of some of the images, by their rows; that of one does not depend on which others are there."""
        if self.sequences is not None:
            return self._recorded(self.sequences, rows)
        if self.options.policy == "centre":
            places = central(self.grid)[: self.glimpses].expand(len(rows), -1)
        else:
            indices = [self.images.indices[row] for row in rows]
            places = places_of(self.grid, indices, self.glimpses, self.options.seed)
        lengths = torch.full((len(rows),), self.glimpses)
        return Gaze(places.to(self.device), lengths.to(self.device))

    def _recorded(self, sequences: dict[str, list[Corner]], rows: range) -> Gaze:
        corners = [sequences[self.images.names[row]][: self.glimpses] for row in rows]
        places = torch.zeros(len(rows), self.glimpses, dtype=torch.int64)
        for row, of_image in enumerate(corners):
            if of_image:
                places[row, : len(of_image)] = self.grid.nearest(torch.tensor(of_image))
        lengths = torch.tensor([len(of_image) for of_image in corners])
        return Gaze(places.to(self.device), lengths.to(self.device))

    def _read(self, path: Path) -> dict[str, list[Corner]]:
        sequences = read(path)
        header, grid = sequences.header, self.grid
        wanted = {"patch": grid.patch, "cells": grid.cells, "last": int(grid.starts[-1])}
        for key, value in wanted.items():
            if (got := getattr(header, key)) != value:
                raise DataError(f"{path}: is of {key} {got}, and this run of {value}")
        check_fits(sequences, designed_for(self.images.part), self.images.part_name, grid.size)
        if missing := [name for name in self.images.names if name not in sequences.places]:
            others = f", nor of {len(missing) - 1} more" if len(missing) > 1 else ""
            what = f"{path}: has no sequence of {missing[0]!r}, which is asked about{others}"
            raise DataError(what, "give a smaller --limit, or design them")
        return sequences.places


def central(grid: PatchGrid) -> Tensor:
    """All places (L,), from the one nearest to the middle of the image on."""
    corners = grid.corners(torch.arange(grid.places)).double()
    away = (corners + grid.patch / 2 - grid.size / 2).square().sum(-1)
    return away.sort(stable=True).indices
