"""Posteriors over glimpses: labels of images, and the variables that draws of their glimpses become.

    posterior             y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide; and the
                          number of the place where the model has places
    attention             guide, marginal and, where it is known, exact (image, glimpse, row, column): how
                          probable each part of the image is as the middle of a glimpse
    log_likelihood        label_number (chain, image)
    posterior_predictive  label_number (chain, draw, image), after the last of glimpses of the model's own
    prediction            probability (image, label), the mean of the same runs
    observed_data         label_number (image), the number of the class
    constant_data         number (image) in its part of the data; height, width in pixels

Images carry their names, labels their classes, rows and columns their middle in pixels: those of the model's
places, or of 10 by 10 equal cells where it has none. What a guide that knows the label draws is weighed by
w = p(label, locations) / q(locations). Predictions are not of these draws, which depend on the label, but of
glimpses that do not know it. Images come one by one, so that each has a stream of random numbers of its own
and its draws are the same whichever others are there.

Shapes: K draws, N images, G glimpses, V labels, C rows and columns of places.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.draws import weight_tables, weighted_frequencies
from hardpp.diagnostics.posterior import (
    DRAW,
    PIXELS,
    PROBABILITY,
    Variables,
    log_likelihood,
    text_labels,
)
from hardpp.diagnostics.trust import weight_statistics
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import ImageBatch

AT_ONCE = 500  # draws


class GlimpseDraws(NamedTuple):
    """Glimpses of one image and their weights."""

    centre: Tensor  # (K, G, 2) rows and columns in pixels
    scale: Tensor  # (K, G) int32
    drawn: Tensor  # (K, D) all that was drawn, as numbers
    log_weight: Tensor  # (K,) nats
    own: Tensor  # (K, V) probabilities of labels after glimpses of the model's own
    replicated: Tensor  # (K,) int64 labels drawn from them
    label: Tensor  # () int32, the right one
    guide: Tensor  # (G, C, C)
    marginal: Tensor  # (G, C, C)
    exact: Tensor | None = None  # (G, C, C)
    log_marginal: Tensor | None = None  # () nats
    place: Tensor | None = None  # (K, G) int64

    def cpu(self) -> "GlimpseDraws":
        parts: list[Any] = [None if part is None else part.cpu() for part in self]
        return GlimpseDraws(*parts)


class Images(NamedTuple):
    """What images and their classes are called, and where the places are."""

    names: Sequence[str]  # N, all different
    classes: Sequence[str]  # V
    numbers: Sequence[int]  # N, in their part of the data
    size: Sequence[int]  # height and width
    centres: Tensor  # (C, 2) the middle of each row and column of places, in pixels

    @property
    def datum(self) -> str:
        return "image"

    def coordinates(self) -> dict[str, xr.Variable]:
        middle = self.centres.cpu().numpy()
        axes = {name: xr.Variable(name, middle[:, n], PIXELS) for n, name in enumerate(("row", "column"))}
        return text_labels("image", image=self.names) | text_labels("label", label=self.classes) | axes

    def groups(self, rows: Sequence[int], draws: Sequence[GlimpseDraws]) -> dict[str, Variables]:
        by_image = [part for _, part in sorted(zip(rows, draws, strict=True), key=lambda pair: pair[0])]

        def joined(name: str, axis: int = 0) -> Any:  # with the images at that axis
            return np.stack([getattr(part, name).numpy() for part in by_image], axis)

        places, by_draw = ("image", "glimpse", "row", "column"), (*DRAW, "image")
        views = [view for view in ("guide", "marginal", "exact") if getattr(by_image[0], view) is not None]
        exact = "exact" in views
        y, x = np.moveaxis(joined("centre", 1), -1, 0)[:, None]  # (1, K, N, G) each
        posterior = {
            "y": xr.Variable((*by_draw, "glimpse"), y, PIXELS),
            "x": xr.Variable((*by_draw, "glimpse"), x, PIXELS),
            "scale": xr.Variable((*by_draw, "glimpse"), joined("scale", 1)[None]),
        }
        if by_image[0].place is not None:
            posterior["place"] = xr.Variable((*by_draw, "glimpse"), joined("place", 1)[None])
        log_weight = joined("log_weight", 1)  # (K, N)
        likelihood = log_likelihood("image", joined("log_marginal") if exact else None, log_weight)
        probability = joined("own").mean(1)  # (N, V)
        height, width = ([side] * len(by_image) for side in self.size)
        numbers = {"number": list(self.numbers), "height": height, "width": width}
        return {
            "posterior": posterior,
            "sample_stats": weight_statistics(log_weight, joined("drawn", 1), "image", exact=exact),
            "attention": {view: xr.Variable(places, joined(view), PROBABILITY) for view in views},
            "log_likelihood": {"label_number": likelihood},
            "posterior_predictive": {
                "label_number": xr.Variable(by_draw, joined("replicated", 1).astype(np.int32)[None])
            },
            "prediction": {"probability": xr.Variable(("image", "label"), probability, PROBABILITY)},
            "observed_data": {"label_number": xr.Variable("image", joined("label"))},
            "constant_data": {name: xr.Variable("image", np.array(each)) for name, each in numbers.items()},
        }


def one_by_one(batches: Iterable[tuple[Sequence[int], ImageBatch]]) -> Iterator[tuple[int, ImageBatch]]:
    """The images of batches, each with its number and as a batch of its own."""
    for rows, batch in batches:
        for b, row in enumerate(rows):
            yield row, ImageBatch(batch.source[b : b + 1], batch.target[b : b + 1])


@torch.no_grad()
def draw_glimpses(
    model: Any, guide: Any, image: ImageBatch, *, draws: int, at_once: int = AT_ONCE
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
        portions.append((locations[:, 0], values_of(table), log_weight[:, 0]))
    locations, drawn, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
    own = []
    for start in range(0, draws, at_once):
        where = model.sample_locations(image.source, min(at_once, draws - start))
        own.append(model.labels(image.source, where)[:, 0, -1].exp())
    centre, scale, _ = model.space.locations(locations)
    scale = torch.zeros_like(centre[..., 0]) if scale is None else scale
    size = torch.tensor(image.source.shape[-2:], device=centre.device)
    side = len(model.space.cell_centres())
    return GlimpseDraws(
        (centre + 1) * (size / 2),
        scale.int(),
        drawn,
        log_weight,
        *anew(torch.cat(own)),
        image.target[0].int(),
        *places_of_draws(model.space.cell(locations), log_weight, side),
    )


def anew(own: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (K, V) of labels, and a label (K,) drawn from each row."""
    return own, own.multinomial(1).squeeze(-1)


def places_of_draws(place: Tensor, log_weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """How often each place (K, G) of side x side is drawn, alike and by weight (K,): (G, side, side) each."""
    weight = log_weight.softmax(0).view(-1, 1, 1)
    found = (
        weighted_frequencies(place.unsqueeze(1), each, side * side)[0].unflatten(-1, (side, side))
        for each in (torch.full_like(weight, 1 / len(weight)), weight)
    )
    even, weighted = found
    return even, weighted


def middles(space: Any, size: Sequence[int]) -> Tensor:
    """The middle of each row and column of a space's cells, in pixels of images of that size: (C, 2)."""
    centres: Tensor = space.cell_centres()
    return (centres + 1) * (centres.new_tensor(list(size)) / 2)


def values_of(table: WeightTable) -> Tensor:
    """All that was drawn for a datum alone, as numbers: (K, D) float64."""
    K = len(table.log_weights)
    return torch.cat([latent.guide["value"].reshape(K, -1).double() for latent in table.latents], -1)


@torch.no_grad()
def draw_locations(
    model: Any, guide: Any, batch: ImageBatch, draws: int, at_once: int = AT_ONCE
) -> tuple[Tensor, Tensor]:
    """Locations that the guide draws, (K, B, G, *event), and their log weights, (K, B) nats; see above.

    From one state of the random numbers they are those of `draw_glimpses`.
    """
    tables = weight_tables(model, guide, batch, draws, at_once)
    portions = [_locations(model, batch, table) for table in tables]
    locations, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
    return locations, log_weight


def picked(log_weight: Tensor, of: str) -> int:
    """Which draw stands for the "guide", the first, or for the "posterior", one picked by its weight (K,)."""
    return 0 if of == "guide" else int(log_weight.softmax(-1).multinomial(1))


def _locations(model: Any, batch: ImageBatch, table: WeightTable) -> tuple[Tensor, Tensor]:
    shape = (-1, batch.size, model.glimpses, *model.space.event_shape)
    return table.latents[0].guide["value"].reshape(shape), table.log_weights.reshape(shape[:2])
