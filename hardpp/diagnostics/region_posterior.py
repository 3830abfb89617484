"""Posteriors over regions as labelled arrays: what a netCDF file that ArviZ reads says of questions.

    posterior      region (chain, draw, question), draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, question); ess, pareto_k (question)
    attention      prior, guide, marginal, exact (question, region): before the answer is known, the
                   guide's, the draws importance-weighted, and the exact posterior
    observed_data  answer (question), the number of the class
    constant_data  region_mask (question, region); left, top, right, bottom (question, region), pixels

Questions carry their names, texts, images and answers. Regions are numbered; floats are NaN where an
image has no such region. There is one chain: draws from a guide are independent.

Shapes: K draws, N questions, B images of a batch, T questions of an image, S regions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hardpp.diagnostics.draws import draw_alignments
from hardpp.diagnostics.importance import effective_sample_size, pareto_k
from hardpp.diagnostics.posterior import provenance
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import UsageError
from hardpp.types import Program, QuestionBatch

Array = NDArray[Any]
Corners = Sequence[tuple[float, float, float, float]]
Places = Sequence[tuple[int, int, int]]  # row and column in a batch, and place among the N, of questions


class Labels(NamedTuple):
    """What N questions are called, and where their images' regions are."""

    names: Sequence[str]  # all different
    texts: Sequence[str]
    images: Sequence[str]
    answers: Sequence[str]
    boxes: Sequence[Corners]  # S boxes each: left, top, right, bottom


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
        attributes: more attributes of the file.

    Raises:
        UsageError: programs without such a site or whose questions depend on one another, or fewer than
            one draw.
    """
    N, S = len(labels.names), max(map(len, labels.boxes))
    looks = ["prior", "guide", "marginal", *["exact"] * exact]
    weights = {name: np.full((N, S), np.nan, np.float32) for name in looks}
    region, answer = np.zeros((draws, N), np.int32), np.zeros(N, np.int32)
    log_weight = np.zeros((draws, N), np.float32)
    for number, (places, batch) in enumerate(batches):
        with seeded(stream(seed, number), batch.source.device):
            known = draw_alignments(
                model, guide, batch, site=site, draws=draws, at_once=32, exact=exact
            ).cpu()
        if known.log_weight_step is None:
            raise UsageError(
                f"site {site!r}: questions that depend on one another have no weights of their own"
            )
        target = batch.target.cpu()
        for row, column, place in places:
            region[:, place], answer[place] = known.alignment[:, row, column], target[row, column]
            log_weight[:, place] = known.log_weight_step[:, row, column]
            count = len(labels.boxes[place])
            for name in looks:
                weights[name][place, :count] = getattr(known, name)[row, column, :count]
    corners = np.full((4, N, S), np.nan, np.float32)
    for place, boxes in enumerate(labels.boxes):
        corners[:, place, : len(boxes)] = np.array(boxes).T
    sides = {
        name: (("question", "region"), side, {"units": "pixels"})
        for name, side in zip(("left", "top", "right", "bottom"), corners, strict=True)
    }
    groups: dict[str, dict[str, Any]] = {
        "posterior": {"region": (("chain", "draw", "question"), region[None])},
        "sample_stats": {
            "log_weight": (("chain", "draw", "question"), log_weight[None], {"units": "nats"}),
            "ess": (("question",), effective_sample_size(log_weight), {"units": "draws"}),
            "pareto_k": (("question",), pareto_k(log_weight)),
        },
        "attention": {
            name: (("question", "region"), value, {"units": "probability"}) for name, value in weights.items()
        },
        "observed_data": {"answer": (("question",), answer)},
        "constant_data": {"region_mask": (("question", "region"), np.isfinite(corners[0])), **sides},
    }
    nodes = {f"/{name}": _labelled(variables, labels, S, draws) for name, variables in groups.items()}
    nodes["/sample_stats"].attrs["draws"] = "iid from guide"
    return xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs=provenance({"seed": seed, **(attributes or {})})), **nodes}
    )


def _labelled(variables: Mapping[str, Any], labels: Labels, S: int, draws: int) -> xr.Dataset:
    used = {dim for dims, *_ in variables.values() for dim in dims}
    numbered = {"chain": 1, "draw": draws, "region": S}
    coordinates: dict[str, Any] = {
        dim: ((dim,), np.arange(size)) for dim, size in numbered.items() if dim in used
    }
    texts = {"question": labels.names, "text": labels.texts, "image": labels.images, "given": labels.answers}
    coordinates |= {name: (("question",), np.array(text, dtype=str)) for name, text in texts.items()}
    return xr.Dataset(dict(variables), coords=coordinates)
