"""Posteriors over glimpses as labelled arrays: what a netCDF file that ArviZ reads says of images.

    posterior      y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, image); ess, pareto_k (image)
    prediction     probability (image, label) after the last glimpse, the draws importance-weighted
    observed_data  label (image), the number of the class

Images carry their names, labels their classes. There is one chain: draws from a guide are independent. What a
guide that knows the label draws is weighed by w = p(label, places) / q(places).

Shapes: K draws, N images, B of them a batch, T glimpses, V labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.draws import seeded
from hardpp.diagnostics.importance import effective_sample_size, normalised, pareto_k
from hardpp.diagnostics.posterior import provenance
from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.types import ImageBatch


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
    for number, (rows, batch) in enumerate(batches):
        extent = torch.tensor(batch.source.shape[-2:]) / 2
        stream = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
        with seeded(stream, batch.source.device):
            each = [_draw(model, guide, batch) for _ in range(draws)]
        place, width, weight, said = (torch.stack(parts).cpu() for parts in zip(*each, strict=True))
        at[:, rows], scale[:, rows] = ((place + 1) * extent).numpy(), width.numpy()
        log_weight[:, rows], label[rows] = weight.numpy(), batch.target.cpu().numpy()
        shares = torch.from_numpy(normalised(weight.numpy()))
        predicted[rows] = (shares.unsqueeze(-1) * said).sum(0).numpy()
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


@torch.no_grad()
def draw_places(model: Any, guide: Any, batch: ImageBatch) -> tuple[Tensor, Tensor]:
    """Places that the guide draws, (B, T, *event), and log p(label, places) - log q(places), (B,), nats."""
    table = SampledObjective(1).weight_table(model, guide, batch)
    places = table.latents[0].guide["value"].reshape(batch.size, model.glimpses, *model.space.event_shape)
    return places, table.log_weights.reshape(batch.size)


def _draw(model: Any, guide: Any, batch: ImageBatch) -> tuple[Tensor, ...]:
    places, log_weight = draw_places(model, guide, batch)
    where, scale, _ = model.space.places(places)
    scale = torch.zeros_like(where[..., 0]) if scale is None else scale
    said = model.labels(batch.source, places)[:, -1].exp()
    return where, scale.int(), log_weight, said
