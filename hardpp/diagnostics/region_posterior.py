"""Posteriors over regions as labelled arrays: questions, and the regions of their images.

    posterior      region (chain, draw, question), draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, question); ess, pareto_k (question)
    attention      prior, guide, marginal, exact (question, region), see `hardpp.diagnostics.draws`
    observed_data  answer (question), the number of the class
    constant_data  region_mask (question, region); left, top, right, bottom (question, region), pixels

Questions carry their names, texts, images and answers. Regions are numbered; floats are NaN where an
image has no such region.

Shapes: K draws, N questions, B images of a batch, T questions of an image, S regions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from hardpp.diagnostics.draws import draw_alignments
from hardpp.diagnostics.labelled_tree import (
    DRAW,
    PROBABILITY,
    join_batches,
    labelled_tree,
    text_labels,
    weight_statistics,
)
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import UsageError
from hardpp.types import Program, QuestionBatch

Corners = Sequence[tuple[float, float, float, float]]
Places = Sequence[tuple[int, int, int]]  # row and column in a batch, and place among the N, of questions


class Labels(NamedTuple):
    """What N questions are called, and where their images' regions are."""

    names: Sequence[str]  # all different
    texts: Sequence[str]
    images: Sequence[str]
    answers: Sequence[str]
    boxes: Sequence[Corners]  # S boxes each: left, top, right, bottom

    def coordinates(self) -> dict[str, xr.Variable]:
        """Names, texts, images and answers of the questions."""
        texts = {"question": self.names, "text": self.texts, "image": self.images, "given": self.answers}
        return text_labels(texts, "question")

    def corners(self) -> dict[str, xr.Variable]:
        """Sides of the regions' boxes, NaN where an image has no such region."""
        corners = np.full((4, len(self.names), max(map(len, self.boxes))), np.nan, np.float32)
        for place, boxes in enumerate(self.boxes):
            corners[:, place, : len(boxes)] = np.array(boxes).T
        return {
            side: xr.Variable(("question", "region"), values, {"units": "pixels"})
            for side, values in zip(("left", "top", "right", "bottom"), corners, strict=True)
        }


def sample_regions(
    model: Program,
    guide: Program,
    batches: Iterable[tuple[Places, QuestionBatch]],
    labels: Labels,
    *,
    site: str,
    draws: int,
    seed: int,
    exact: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Draws regions from the guide and labels everything that is known of them.

    Args:
        model, guide: Pyro programs in evaluation mode.
        batches: which questions a batch holds, and the batch itself, on the programs' device; together
            they hold every question once.
        labels: of all N questions.
        site: the regions' name in the programs.
        draws: K.
        seed: of the draws; the global random state is left alone.
        exact: also enumerate the model's posterior.
        attributes: more attributes of the tree.

    Raises:
        UsageError: programs without such a site or whose questions depend on one another, or fewer than
            one draw.
    """
    places, regions, log_weights, answers, views = [], [], [], [], []
    for number, (questions, batch) in enumerate(batches):
        with seeded(stream(seed, number), batch.source.device):
            result = draw_alignments(model, guide, batch, site=site, draws=draws, at_once=32, exact=exact)
        result = result.cpu()
        if result.log_weight_step is None:
            raise UsageError(
                f"site {site!r}: questions that depend on one another have no weights of their own"
            )
        row, column, place = (list(numbers) for numbers in zip(*questions, strict=True))
        places.append(place)
        regions.append(result.alignment[:, row, column].int())  # (K, questions)
        log_weights.append(result.log_weight_step[:, row, column])
        answers.append(batch.target.cpu()[row, column].int())
        views.append({view: values[row, column] for view, values in result.views.items()})
    corners = labels.corners()
    region_mask = np.isfinite(corners["left"].values)
    every = np.ones(len(region_mask), dtype=bool)
    attention = {view: join_batches(places, [part[view] for part in views], region_mask) for view in views[0]}
    by_region = ("question", "region")
    groups = {
        "posterior": {
            "region": xr.Variable((*DRAW, "question"), join_batches(places, regions, every, -1)[None])
        },
        "sample_stats": weight_statistics(join_batches(places, log_weights, every), "question"),
        "attention": {
            view: xr.Variable(by_region, values, PROBABILITY) for view, values in attention.items()
        },
        "observed_data": {"answer": xr.Variable("question", join_batches(places, answers, every, -1))},
        "constant_data": {"region_mask": xr.Variable(by_region, region_mask), **corners},
    }
    return labelled_tree(groups, labels.coordinates(), seed=seed, attributes=attributes)
