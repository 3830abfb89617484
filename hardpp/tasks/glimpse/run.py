"""What an opened run on glimpses answers: figures, classes, draws of the glimpses' locations, plots.

Shapes: B images, G glimpses, V labels.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hardpp.design.expected_information import entropy
from hardpp.tasks.answers.calibration.simulation_based import Simulated, dreamt
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.sampling import PICKED
from hardpp.tasks.glimpse.evaluation import GlimpseDecoding, evaluate, label_log_probs
from hardpp.tasks.image_run import Glances, GlimpsingRun, Labels
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.opened_run import DataTree
from hardpp.types import ImageBatch


class GlimpseRun(GlimpsingRun):
    """A run on images; items are `SelectedImages` of one part."""

    @property
    def approximation(self) -> str:
        """One draw is shown of each image."""
        return PICKED

    def _evaluate(self, items: SelectedImages, options: GlimpseDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _labels(self, items: SelectedImages, options: GlimpseDecoding) -> Iterator[Labels]:
        for log_p in label_log_probs(self, items, options):
            yield Labels(log_p)

    # There is no exact posterior of glimpses.
    def _posterior(self, items: SelectedImages, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.glimpse_draws import draw_glimpses, numbered
        from hardpp.diagnostics.glimpse_posterior import Images, middles

        found = ((rows, batch) for rows, batch, _ in batches(items, self.device))
        images = numbered(found, draws, items.stream)
        draw = partial(draw_glimpses, *self.programs, draws=draws, seed=seed)
        _, *size = items.part.size
        where = middles(self.programs.model.space, size)
        labels = Images(items.names, items.classes, items.indices, size, where)
        return labelled_draws(self, draw, images, labels, seed=seed)

    def _align(self, items: SelectedImages, of: str, form: str) -> Iterator[str]:
        model: Any = self.programs.model
        yield "\t".join(("image", "label", "glimpse", "y", "x", "scale", "prediction", "probability"))
        height, width = items.part.size[-2:]

        @torch.no_grad()
        def shown(rows: range, batch: ImageBatch, boxes: Any) -> list[list[Any]]:
            locations = self._shown_locations(batch, [items.indices[row] for row in rows], of)
            probability, prediction = model.labels(batch.source, locations).exp().max(-1)  # (B, G)
            centre, scale, _ = model.space.locations(locations)
            scale = torch.zeros_like(prediction) if scale is None else scale
            return [values.tolist() for values in (batch.target, centre, scale, prediction, probability)]

        for rows, of_images in self.each(batches(items, self.device), shown):
            for row, label, *of_image in zip(rows, *of_images, strict=True):
                for g, ((y, x), number, best, p) in enumerate(zip(*of_image, strict=True), start=1):
                    point = (f"{(y + 1) / 2 * height:.1f}", f"{(x + 1) / 2 * width:.1f}")
                    cells = (items.names[row], items.classes[label], g, *point, number, items.classes[best])
                    yield "\t".join(map(str, (*cells, f"{p:.4f}")))

    def _simulate(self, items: SelectedImages) -> Iterator[Simulated]:
        return dreamt(self.programs, (batch for _, batch, _ in batches(items, self.device)))

    def _glances(self, items: SelectedImages, row: int, batch: ImageBatch) -> Glances:
        model: Any = self.programs.model
        locations = self._shown_locations(batch, [items.indices[row]], "prior")
        with torch.no_grad():
            probabilities = model.labels(batch.source, locations)[0].exp()
        centre, scale, _ = model.space.locations(locations[0])
        corners = model.sensor.corners(centre, scale, *batch.source.shape[-2:])
        sides = model.sensor.sides(scale, centre.device).expand(corners.shape[:-1])
        shown = "one draw of the model's own policy (prior: no label is known)"
        return Glances(corners, sides, probabilities, shown)

    @torch.no_grad()
    def _uncertainty(self, items: SelectedImages) -> list[float]:
        model: Any = self.programs.model
        found: list[float] = []
        for rows, batch, _ in batches(items, self.device):
            locations = self._shown_locations(batch, [items.indices[row] for row in rows], "prior")
            found += entropy(model.labels(batch.source, locations)[:, -1]).tolist()
        return found

    # One draw of the locations of all glimpses of each image, (B, G, *event): the model's ("prior"), the
    # first of the guide, which may know the label, or one of its draws, picked by its weight ("posterior").
    # An image's index in its part seeds a stream of its own, so others do not matter.
    @torch.no_grad()
    def _shown_locations(self, batch: ImageBatch, indices: Sequence[int], of: str) -> Tensor:
        from hardpp.diagnostics.glimpse_draws import draw_locations, numbered, picked

        model: Any = self.programs.model
        seed, draws = self.sampling.seed, self.sampling.draws

        def drawn(images: ImageBatch) -> Tensor:
            if of == "prior":
                return model.sample_locations(images.source)[0]
            return picked(*draw_locations(*self.programs, images, draws), of)

        some = numbered([(indices, batch)], 1 if of == "prior" else draws, int)
        return torch.cat([part for _, images in some for part in images.drawn_alike(drawn, seed)])
