"""Posteriors over glimpses as labelled arrays: images, and the places of the glimpses at them.

    posterior      y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, image); ess, pareto_k (image)
    prediction     probability (image, label) after the last glimpse, mean of as many runs of the model's own
    observed_data  label_number (image), the number of the class

Images carry their names, labels their classes. What a guide that knows the label draws is weighed by
w = p(label, places) / q(places). Predictions are not of these draws, which the label has influenced, but of
glimpses that do not know it. Each image has a stream of random numbers of its own, so that its draws are the
same whichever others are there.

Shapes: K draws, N images, B of them a batch, G glimpses, V labels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.labelled_tree import (
    DRAW,
    PROBABILITY,
    labelled_tree,
    text_labels,
    weight_statistics,
)
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.inference.weights.weight_table import WeightTable
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
        attributes: more attributes of the tree.

    Raises:
        UsageError: fewer than one draw.
    """
    of_image: dict[int, tuple[Tensor, ...]] = {}
    for rows, batch in batches:
        for row, image in zip(rows, one_by_one(batch), strict=True):
            with seeded(stream(seed, row), image.source.device):
                of_image[row] = _draw(model, guide, image, draws)
    by_image = zip(*(of_image[row] for row in range(len(names))), strict=True)
    yx, scale, log_weight, predicted, label = (torch.stack(parts, -1).numpy() for parts in by_image)
    dims = (*DRAW, "image", "glimpse")
    y, x, scale = (values.swapaxes(-1, -2)[None] for values in (yx[:, :, 0], yx[:, :, 1], scale))
    groups = {
        "posterior": {
            "y": xr.Variable(dims, y, {"units": "pixels"}),
            "x": xr.Variable(dims, x, {"units": "pixels"}),
            "scale": xr.Variable(dims, scale),
        },
        "sample_stats": weight_statistics(log_weight, "image"),
        "prediction": {"probability": xr.Variable(("image", "label"), predicted.T, PROBABILITY)},
        "observed_data": {"label_number": xr.Variable("image", label)},
    }
    labels = text_labels({"image": names}, "image") | text_labels({"label": classes}, "label")
    return labelled_tree(groups, labels, seed=seed, attributes=attributes)


def one_by_one(batch: ImageBatch) -> Iterator[ImageBatch]:
    """The images of a batch, each a batch."""
    for b in range(batch.size):
        yield ImageBatch(batch.source[b : b + 1], batch.target[b : b + 1])


@torch.no_grad()
def draw_places(model: Any, guide: Any, batch: ImageBatch, draws: int) -> tuple[Tensor, Tensor]:
    """Places that the guide draws, (K, B, G, *event), and their log weights, (K, B) nats; see above."""
    (table,) = weight_tables(model, guide, batch, draws, at_once=draws)
    return _places(model, batch, table)


def _places(model: Any, batch: ImageBatch, table: WeightTable) -> tuple[Tensor, Tensor]:
    shape = (-1, batch.size, model.glimpses, *model.space.event_shape)
    return table.latents[0].guide["value"].reshape(shape), table.log_weights.reshape(shape[:2])


# Of one image, on the host: pixels (K, G, 2), scales (K, G) and log weights (K,) of the guide's places, what
# the model says of the image at places of its own (V,), and the label.
def _draw(model: Any, guide: Any, image: ImageBatch, draws: int) -> tuple[Tensor, ...]:
    portions = []
    for table in weight_tables(model, guide, image, draws, _AT_ONCE):
        places, log_weight = _places(model, image, table)
        at, scale, _ = model.space.locations(places[:, 0])
        scale = torch.zeros_like(at[..., 0]) if scale is None else scale
        own = model.labels(image.source, model.sample_locations(image.source, len(places)))[:, 0, -1].exp()
        portions.append((at, scale.int(), log_weight[:, 0], own))
    at, scale, log_weight, own = (torch.cat(parts).cpu() for parts in zip(*portions, strict=True))
    size = torch.tensor(image.source.shape[-2:])
    return (at + 1) * (size / 2), scale, log_weight, own.mean(0), image.target[0].cpu().int()
