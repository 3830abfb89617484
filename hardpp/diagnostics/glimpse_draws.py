"""Draws of glimpses of several images at once, their weights, and what the model predicts of its own.

What a guide that knows the label draws is weighed by w = p(label, locations) / q(locations). Each image has a
stream of random numbers of its own, so that its draws are the same whichever others are there
(`hardpp.diagnostics.datum_streams`).

Shapes: K draws, B images, G glimpses, V labels, C rows and columns of places; D numbers that were drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from hardpp.diagnostics.datum_streams import drawn_alike
from hardpp.diagnostics.draws import weight_tables, weighted_frequencies
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import ImageBatch

T = TypeVar("T")

AT_ONCE = 500  # draws of an image
RUNS = 2000  # draws of all images


class GlimpseDraws(NamedTuple):
    """Glimpses of images and their weights."""

    centre: Tensor  # (K, B, G, 2) rows and columns in pixels
    scale: Tensor  # (K, B, G) int32
    drawn: Tensor  # (K, B, D) all that was drawn, as numbers
    log_weight: Tensor  # (K, B) nats
    own: Tensor  # (K, B, V) probabilities of labels after glimpses of the model's own
    replicated: Tensor  # (K, B) int64 labels drawn from them
    label: Tensor  # (B,) int32, the right one
    guide: Tensor  # (B, G, C, C)
    marginal: Tensor  # (B, G, C, C)
    exact: Tensor | None = None  # (B, G, C, C)
    log_marginal: Tensor | None = None  # (B,) nats
    place: Tensor | None = None  # (K, B, G) int64

    def cpu(self) -> "GlimpseDraws":
        parts: list[Any] = [None if part is None else part.cpu() for part in self]
        return GlimpseDraws(*parts)


BY_DRAW = ("centre", "scale", "drawn", "log_weight", "own", "replicated", "place")  # images are second


def all_images(parts: Sequence[GlimpseDraws]) -> GlimpseDraws:
    """Those of several batches, one after the other."""
    joined: dict[str, Any] = {}
    for name, first in parts[0]._asdict().items():
        dim = int(name in BY_DRAW)
        joined[name] = None if first is None else torch.cat([getattr(part, name) for part in parts], dim)
    return GlimpseDraws(**joined)


class NumberedImages(NamedTuple):
    """A batch whose images have streams of random numbers of their own, told apart by their numbers."""

    source: Tensor
    target: Tensor
    numbers: Sequence[int]  # B

    def drawn_alike(self, compute: Callable[[ImageBatch], T], seed: int) -> list[T]:
        """What is drawn for all images, or for one after the other: see `datum_streams.drawn_alike`."""

        def of_some(rows: slice) -> T:
            return compute(ImageBatch(self.source[rows], self.target[rows]))

        return drawn_alike(of_some, self.numbers, seed, self.source.device)

    def one_by_one(self) -> Iterator[ImageBatch]:
        """Each image as a batch of its own."""
        for source, target in zip(self.source.split(1), self.target.split(1), strict=True):
            yield ImageBatch(source, target)


def numbered(
    batches: Iterable[tuple[Sequence[int], ImageBatch]],
    draws: int,
    stream: Callable[[int], int],
    runs: int = RUNS,
) -> Iterator[tuple[Sequence[int], NumberedImages]]:
    """The images of batches with the numbers of their streams, so few at once as go with so many draws.

    Args:
        batches: images, and their rows.
        draws: K, of each image.
        stream: the number of the stream of the image of a row.
        runs: how many draws of an image are made at once, over all images.
    """
    count = max(1, runs // min(draws, AT_ONCE))
    for rows, batch in batches:
        for start in range(0, batch.size, count):
            some = rows[start : start + count]
            part = slice(start, start + count)
            yield some, NumberedImages(batch.source[part], batch.target[part], [stream(row) for row in some])


@torch.no_grad()
def draw_glimpses(
    model: Any, guide: Any, images: NumberedImages, *, draws: int, seed: int, at_once: int = AT_ONCE
) -> GlimpseDraws:
    """Draws locations from the guide and scores them under the model, which then predicts at its own.

    Args:
        model, guide: a `GlimpseClassifier` in evaluation mode, and a guide over the same locations.
        images: B; each draws from its own stream of random numbers, whichever others there are.
        draws: K, at most `at_once` of them in one run.
        seed: of all streams.

    Raises:
        UsageError: fewer than one draw.
    """

    def drawn(batch: ImageBatch) -> GlimpseDraws:
        portions = []
        for table in weight_tables(model, guide, batch, draws, at_once):
            locations, log_weight = _locations(model, batch, table)
            portions.append((locations, values_of(table, batch.size), log_weight))
        locations, values, log_weight = (torch.cat(parts) for parts in zip(*portions, strict=True))
        own = []
        for start in range(0, draws, at_once):
            where = model.sample_locations(batch.source, min(at_once, draws - start))
            own.append(model.labels(batch.source, where)[..., -1, :].exp())
        centre, scale, _ = model.space.locations(locations)
        scale = torch.zeros_like(centre[..., 0]) if scale is None else scale
        size = torch.tensor(batch.source.shape[-2:], device=centre.device)
        side = len(model.space.cell_centres())
        return GlimpseDraws(
            (centre + 1) * (size / 2),
            scale.int(),
            values,
            log_weight,
            *anew(torch.cat(own)),
            batch.target.int(),
            *places_of_draws(model.space.cell(locations), log_weight, side),
        )

    return all_images(images.drawn_alike(drawn, seed))


def anew(own: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (K, B, V) of labels, and a label (K, B) drawn from each row."""
    return own, own.flatten(0, 1).multinomial(1).view(own.shape[:-1])


def places_of_draws(place: Tensor, log_weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """How often each place (K, B, G) of side x side is drawn, alike and by weight (K, B).

    Both are (B, G, side, side).
    """
    weight = log_weight.softmax(0).unsqueeze(-1)
    found = (
        weighted_frequencies(place, each, side * side).unflatten(-1, (side, side))
        for each in (torch.full_like(weight, 1 / len(weight)), weight)
    )
    even, weighted = found
    return even, weighted


def values_of(table: WeightTable, size: int) -> Tensor:
    """All that was drawn for each of B data alone, as numbers: (K, B, D) float64."""
    K = len(table.log_weights)
    return torch.cat([latent.guide["value"].reshape(K, size, -1).double() for latent in table.latents], -1)


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


def picked(drawn: Tensor, log_weight: Tensor, of: str) -> Tensor:
    """The draw (B, ...) of (K, B, ...) that stands for the "guide", the first, or for the "posterior".

    That is one picked by its weight (K, B).
    """
    if of == "guide":
        return drawn[0]
    chosen = log_weight.softmax(0).T.multinomial(1).squeeze(-1)
    return drawn[chosen, torch.arange(len(chosen), device=chosen.device)]


def _locations(model: Any, batch: ImageBatch, table: WeightTable) -> tuple[Tensor, Tensor]:
    shape = (-1, batch.size, model.glimpses, *model.space.event_shape)
    return table.latents[0].guide["value"].reshape(shape), table.log_weights.reshape(shape[:2])
