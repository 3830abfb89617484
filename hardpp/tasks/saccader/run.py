"""What an opened run of Saccader answers: figures, classes, draws of places, plots.

Shapes: B images, G glimpses, V labels.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hardpp.decoding.saccades import centres
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.sampling import PICKED
from hardpp.tasks.image_run import Glances, GlimpsingRun, Labels
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.opened_run import DataTree
from hardpp.tasks.saccader.evaluation import AT_ONCE, evaluate, predictions
from hardpp.tasks.saccader.looking import SaccaderDecoding, check_glimpses, look, shown_by
from hardpp.types import ImageBatch


class SaccaderRun(GlimpsingRun):
    """A run on images; items are `SelectedImages` of one part."""

    @property
    def approximation(self) -> str:
        """One draw is shown of each image."""
        return PICKED

    def _evaluate(self, items: SelectedImages, options: SaccaderDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _labels(self, items: SelectedImages, options: SaccaderDecoding) -> Iterator[Labels]:
        for log_p, exact in predictions(self, items, options):
            yield Labels(log_p, exact)

    def _posterior(self, items: SelectedImages, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.glimpse_draws import numbered
        from hardpp.diagnostics.glimpse_posterior import Images
        from hardpp.tasks.saccader.posterior import draw_places

        check_glimpses(self, "posterior")
        found = ((rows, batch) for rows, batch, _ in batches(items, self.device, AT_ONCE))
        images = numbered(found, draws, items.stream)
        draw = partial(draw_places, *self.programs, draws=draws, exact=exact, seed=seed)
        model: Any = self.programs.model
        outputs, field = model.representation.readout.out_channels, model.representation.field
        extra = [f"class {number}" for number in range(len(items.classes), outputs)]
        side = field.places(items.part.size[-1])
        diagonal = centres(field, torch.arange(side) * (side + 1), side)
        labels = Images(items.names, [*items.classes, *extra], items.indices, items.part.size[1:], diagonal)
        return labelled_draws(self, draw, images, labels, seed=seed)

    def _align(self, items: SelectedImages, of: str, form: str) -> Iterator[str]:
        check_glimpses(self, "alignments")
        model: Any = self.programs.model
        field = model.representation.field
        yield "\t".join(("image", "label", "glimpse", "y", "x", "prediction", "probability"))

        def shown(rows: range, batch: ImageBatch, boxes: Any) -> list[list[Any]]:
            places, probability = self._shown(batch, [items.indices[row] for row in rows], of)
            centre = centres(field, places, field.places(batch.source.shape[-1]))
            best = probability[..., : len(items.classes)].max(-1)
            return [each.tolist() for each in (batch.target, centre, best.indices, best.values)]

        for rows, of_images in self.each(batches(items, self.device, AT_ONCE), shown):
            for row, label, *of_image in zip(rows, *of_images, strict=True):
                for g, ((y, x), number, p) in enumerate(zip(*of_image, strict=True), start=1):
                    point = (f"{y:.1f}", f"{x:.1f}")
                    cells = (items.names[row], items.classes[label], g, *point, items.classes[number])
                    yield "\t".join(map(str, (*cells, f"{p:.4f}")))

    def _glances(self, items: SelectedImages, row: int, batch: ImageBatch) -> Glances:
        check_glimpses(self, "plots")
        model: Any = self.programs.model
        field = model.representation.field
        places, probability = self._shown(batch, [items.indices[row]], "prior")
        height, width = batch.source.shape[-2:]
        side = field.places(width)
        seen = field.seen(places[0].unsqueeze(-1), side, height, width)  # by each alone
        corners = field.corners(places[0], side).unsqueeze(1)  # (G, 1, 2)
        sides = torch.full(corners.shape[:-1], field.side)
        known = probability[0, :, : len(items.classes)]
        return Glances(corners, sides, known, shown_by(self.decoding({})), seen.cumsum(0).bool())

    def _uncertainty(self, items: SelectedImages) -> list[float]:
        check_glimpses(self, "plots")
        found = []
        for _, batch, _ in batches(items, self.device, AT_ONCE):
            last = look(self, batch, self.decoding({})).last[:, : len(items.classes)]
            found += torch.distributions.Categorical(logits=last).entropy().tolist()
        return found

    # Places (B, G) and probabilities (B, G, V): of the model's best places ("prior"), of the first draw of
    # the guide, or of one of its draws, picked by its weight ("posterior").
    def _shown(self, batch: ImageBatch, indices: Sequence[int], of: str) -> tuple[Tensor, Tensor]:
        from hardpp.decoding.saccades import running_logits
        from hardpp.diagnostics.glimpse_draws import numbered
        from hardpp.tasks.saccader.posterior import one_draw

        model: Any = self.programs.model
        if of == "prior":
            looked = look(self, batch, self.decoding({}))
            assert looked.places is not None
            assert looked.logits is not None
            return looked.places, looked.logits.softmax(-1)
        seed, draws = self.sampling.seed, self.sampling.draws

        def drawn(images: ImageBatch) -> Tensor:
            return one_draw(*self.programs, images, draws, of)

        some = numbered([(indices, batch)], draws, int)
        places = torch.cat([part for _, images in some for part in images.drawn_alike(drawn, seed)])
        with torch.no_grad():
            logits = running_logits(model.view(batch.source).places.logits, places)
        return places, logits.softmax(-1)
