"""Posteriors over glimpses: labels of images, and the variables that draws of their glimpses become.

    posterior      y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, image); ess, pareto_k (image)
    prediction     probability (image, label) after the last glimpse, mean of as many runs of the model's own
    observed_data  label_number (image), the number of the class

Images carry their names, labels their classes. What a guide that knows the label draws is weighed by
w = p(label, locations) / q(locations). Predictions are not of these draws, which depend on the label, but of
glimpses that do not know it. Images come one by one, so that each has a stream of random numbers of its own
and its draws are the same whichever others are there.

Shapes: K draws, N images, G glimpses, V labels.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.posterior import DRAW, PIXELS, PROBABILITY, Variables, text_labels, weight_statistics
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import ImageBatch


class GlimpseDraws(NamedTuple):
    """Glimpses of one image and their weights."""

    centre: Tensor  # (K, G, 2) rows and columns in pixels
    scale: Tensor  # (K, G) int32
    log_weight: Tensor  # (K,) nats
    predicted: Tensor  # (V,) probabilities of labels after glimpses of the model's own
    label: Tensor  # () int32, the right one

    def cpu(self) -> "GlimpseDraws":
        return GlimpseDraws(*(part.cpu() for part in self))


class Images(NamedTuple):
    """What images and their classes are called."""

    names: Sequence[str]  # N, all different
    classes: Sequence[str]  # V

    def coordinates(self) -> dict[str, xr.Variable]:
        return text_labels("image", image=self.names) | text_labels("label", label=self.classes)

    def groups(self, rows: Sequence[int], draws: Sequence[GlimpseDraws]) -> dict[str, Variables]:
        by_image = [part for _, part in sorted(zip(rows, draws, strict=True), key=lambda pair: pair[0])]
        joined = GlimpseDraws(*(torch.stack(parts) for parts in zip(*by_image, strict=True)))
        dims, predicted = (*DRAW, "image", "glimpse"), joined.predicted.numpy()
        y, x = joined.centre.movedim(0, 1).numpy()[None].transpose(4, 0, 1, 2, 3)  # (1, K, N, G) each
        return {
            "posterior": {
                "y": xr.Variable(dims, y, PIXELS),
                "x": xr.Variable(dims, x, PIXELS),
                "scale": xr.Variable(dims, joined.scale.movedim(0, 1).numpy()[None]),
            },
            "sample_stats": weight_statistics(joined.log_weight.T.numpy(), "image"),
            "prediction": {"probability": xr.Variable(("image", "label"), predicted, PROBABILITY)},
            "observed_data": {"label_number": xr.Variable("image", joined.label.numpy())},
        }


def one_by_one(batches: Iterable[tuple[Sequence[int], ImageBatch]]) -> Iterator[tuple[int, ImageBatch]]:
    """The images of batches, each with its number and as a batch of its own."""
    for rows, batch in batches:
        for b, row in enumerate(rows):
            yield row, ImageBatch(batch.source[b : b + 1], batch.target[b : b + 1])


@torch.no_grad()
def draw_glimpses(
    model: Any, guide: Any, image: ImageBatch, *, draws: int, at_once: int = 500
) -> GlimpseDraws:
    """Draws locations from the guide and scores them under the model, which then predicts at its own.

    Args:
        model, guide: a `GlimpseClassifier` in evaluation mode, and a guide over the same locations.
        image: a batch of one.
        draws: K, at most `at_once` of them in one run.

    Raises:
        UsageError: fewer than one draw.
    """
    portions = []
    for table in weight_tables(model, guide, image, draws, at_once):
        locations, log_weight = _locations(model, image, table)
        centre, scale, _ = model.space.locations(locations[:, 0])
        scale = torch.zeros_like(centre[..., 0]) if scale is None else scale
        own = model.labels(image.source, model.sample_locations(image.source, len(locations)))[:, 0, -1].exp()
        portions.append((centre, scale.int(), log_weight[:, 0], own))
    centre, scale, log_weight, own = (torch.cat(parts) for parts in zip(*portions, strict=True))
    size = torch.tensor(image.source.shape[-2:], device=centre.device)
    return GlimpseDraws((centre + 1) * (size / 2), scale, log_weight, own.mean(0), image.target[0].int())


@torch.no_grad()
def draw_locations(model: Any, guide: Any, batch: ImageBatch, draws: int) -> tuple[Tensor, Tensor]:
    """Locations that the guide draws, (K, B, G, *event), and their log weights, (K, B) nats; see above."""
    (table,) = weight_tables(model, guide, batch, draws, at_once=draws)
    return _locations(model, batch, table)


def _locations(model: Any, batch: ImageBatch, table: WeightTable) -> tuple[Tensor, Tensor]:
    shape = (-1, batch.size, model.glimpses, *model.space.event_shape)
    return table.latents[0].guide["value"].reshape(shape), table.log_weights.reshape(shape[:2])
