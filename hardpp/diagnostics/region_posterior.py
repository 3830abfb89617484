"""Posteriors over regions: labels of questions, and the variables that draws of their regions become.

    posterior      region (chain, draw, question), draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, question); ess, pareto_k (question)
    attention      prior, guide, marginal, exact (question, region)
    observed_data  answer (question), the number of the class
    constant_data  region_mask (question, region); left, top, right, bottom (question, region), pixels

Questions carry their names, texts, images and answers. Regions are numbered; floats are NaN where an
image has no such region.

Shapes: K draws, N questions, B images of a batch, T questions of an image, S regions.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.diagnostics.posterior import (
    DRAW,
    PIXELS,
    PROBABILITY,
    Array,
    Variables,
    join_batches,
    text_labels,
    weight_statistics,
)
from hardpp.errors import UsageError

Boxes = Sequence[tuple[float, float, float, float]]
Cells = Iterable[tuple[int, int, int]]  # row and column in a batch, and index among the N, of questions


class Questions(NamedTuple):
    """What questions are called, and where their images' regions are."""

    names: Sequence[str]  # N, all different
    texts: Sequence[str]
    images: Sequence[str]
    answers: Sequence[str]
    boxes: Sequence[Boxes]  # S boxes each: left, top, right, bottom

    def coordinates(self) -> dict[str, xr.Variable]:
        return text_labels(
            "question", question=self.names, text=self.texts, image=self.images, given=self.answers
        )

    def groups(self, cells: Sequence[Cells], draws: Sequence[AlignmentDraws]) -> dict[str, Variables]:
        if any(part.log_weight_step is None for part in draws):
            raise UsageError("questions that depend on one another have no weights of their own")
        sides = np.full((4, len(self.names), max(map(len, self.boxes))), np.nan, np.float32)
        for place, of_image in enumerate(self.boxes):
            sides[:, place, : len(of_image)] = np.array(of_image).T
        region_mask, by_region = np.isfinite(sides[0]), ("question", "region")
        named = zip(("left", "top", "right", "bottom"), sides, strict=True)
        boxes = {name: xr.Variable(by_region, side, PIXELS) for name, side in named}
        every = np.ones(len(region_mask), dtype=bool)
        rows, columns, places = zip(*([*zip(*batch, strict=True)] for batch in cells), strict=True)

        def join(name: str, mask: Array, fill: float = np.nan, *, drawn: bool = False) -> Array:
            parts = [
                getattr(part, name)[(slice(None), row, column) if drawn else (row, column)]
                for part, row, column in zip(draws, rows, columns, strict=True)
            ]
            return join_batches(places, parts, mask, fill)

        region = join("alignment", every, -1, drawn=True).astype(np.int32)
        answer = join("target", every, -1).astype(np.int32)
        log_weight = join("log_weight_step", every, drawn=True)
        return {
            "posterior": {"region": xr.Variable((*DRAW, "question"), region[None])},
            "sample_stats": weight_statistics(log_weight, "question"),
            "attention": {
                view: xr.Variable(by_region, join(view, region_mask), PROBABILITY) for view in draws[0].views
            },
            "observed_data": {"answer": xr.Variable("question", answer)},
            "constant_data": {"region_mask": xr.Variable(by_region, region_mask)} | boxes,
        }
