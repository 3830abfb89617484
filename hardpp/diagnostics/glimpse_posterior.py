"""Posteriors over glimpses as labelled arrays: what a netCDF file that ArviZ reads says of images.

    posterior      y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, image); ess, pareto_k (image)
    prediction     probability (image, label) after the last glimpse, mean of as many looks of the model's own
    observed_data  label (image), the number of the class

Images carry their names, labels their classes. There is one chain: draws from a guide are independent. What a
guide that knows the label draws is weighed by w = p(label, places) / q(places). Predictions are not of these
draws, which the label has chosen, but of looks that do not know it. Each image has a stream of random numbers
of its own, so that its draws are the same whichever others are there.

Shapes: K draws, N images, B of them a batch, T glimpses, V labels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.importance import effective_sample_size, pareto_k
from hardpp.diagnostics.posterior import provenance
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.types import ImageBatch

_AT_ONCE = 500  # draws, which is what memory grows with


@torch.no_grad()
def sample_glimpses(
    model: Any,
    guide: Any,
    batches: Iterable[tuple[Sequence[int], ImageBatch]],
    names: Sequence[str],
    classes: Sequence[str],
    *,
    draws: int,
    seed: int,
    attributes: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Draws places from the guide and labels everything that is known of them.

    Args:
        model: a `GlimpseClassifier`, in evaluation mode.
        guide: over the same places.
        batches: which images a batch holds, and the batch itself; together they hold every image once.
        names: of all N images.
        classes: names of the labels.
        draws: K.
        seed: of the draws; the global random state is left alone.
        attributes: more attributes of the file.

    Raises:
        UsageError: fewer than one draw.
    """
    if draws < 1:
        raise UsageError(f"at least 1 draw is needed, got {draws}")
    N, T = len(names), model.glimpses
    at, scale = np.zeros((draws, N, T, 2), np.float32), np.zeros((draws, N, T), np.int32)
    log_weight, label = np.zeros((draws, N), np.float32), np.zeros(N, np.int32)
    predicted = np.zeros((N, len(classes)), np.float32)
    portions = [min(_AT_ONCE, draws - start) for start in range(0, draws, _AT_ONCE)]
    for rows, batch in batches:
        extent = torch.tensor(batch.source.shape[-2:]) / 2
        for row, one in zip(rows, one_by_one(batch), strict=True):
            with seeded(stream(seed, row), one.source.device):
                each = [_draw(model, guide, one, count) for count in portions]
            place, width, weight, said = (torch.cat(parts).cpu() for parts in zip(*each, strict=True))
            at[:, row], scale[:, row] = ((place + 1) * extent).numpy(), width.numpy()
            log_weight[:, row], label[row] = weight.numpy(), int(one.target)
            predicted[row] = said.mean(0).numpy()
    dims = ("chain", "draw", "image", "glimpse")
    groups: dict[str, dict[str, Any]] = {
        "posterior": {
            "y": (dims, at[None, ..., 0], {"units": "pixels"}),
            "x": (dims, at[None, ..., 1], {"units": "pixels"}),
            "scale": (dims, scale[None]),
        },
        "sample_stats": {
            "log_weight": (dims[:3], log_weight[None], {"units": "nats"}),
            "ess": (("image",), effective_sample_size(log_weight), {"units": "draws"}),
            "pareto_k": (("image",), pareto_k(log_weight)),
        },
        "prediction": {"probability": (("image", "label"), predicted, {"units": "probability"})},
        "observed_data": {"label_number": (("image",), label)},
    }
    sizes = {"chain": np.arange(1), "draw": np.arange(draws), "glimpse": np.arange(T)}
    labels = {"image": np.array(names, dtype=str), "label": np.array(classes, dtype=str)}
    nodes = {}
    for name, variables in groups.items():
        used = {dim for variable in variables.values() for dim in variable[0]}
        found = {dim: ((dim,), value) for dim, value in (sizes | labels).items() if dim in used}
        nodes[f"/{name}"] = xr.Dataset(variables, coords=found)
    nodes["/sample_stats"].attrs["draws"] = "iid from guide"
    return xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs=provenance({"seed": seed, **(attributes or {})})), **nodes}
    )


def one_by_one(batch: ImageBatch) -> Iterator[ImageBatch]:
    """The images of a batch, each a batch."""
    for b in range(batch.size):
        yield ImageBatch(batch.source[b : b + 1], batch.target[b : b + 1])


@torch.no_grad()
def draw_places(model: Any, guide: Any, batch: ImageBatch, draws: int) -> tuple[Tensor, Tensor]:
    """Places that the guide draws, (K, B, T, *event), and their log weights, (K, B) nats; see above."""
    table = SampledObjective(draws).weight_table(model, guide, batch)
    shape = (draws, batch.size, model.glimpses, *model.space.event_shape)
    return table.latents[0].guide["value"].reshape(shape), table.log_weights.reshape(shape[:2])


# Of one image: places (K, T, 2), scales (K, T) and log weights (K,) of the guide, and what the model says of
# it where it looks by itself (K, V).
def _draw(model: Any, guide: Any, image: ImageBatch, draws: int) -> tuple[Tensor, ...]:
    places, log_weight = draw_places(model, guide, image, draws)
    where, scale, _ = model.space.locations(places[:, 0])
    scale = torch.zeros_like(where[..., 0]) if scale is None else scale
    said = model.labels(image.source, model.sample_locations(image.source, draws))[:, 0, -1].exp()
    return where, scale.int(), log_weight[:, 0], said
