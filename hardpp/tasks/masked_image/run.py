"""What an opened run on partly seen images answers: figures, classes, draws of the places, plots.

Shapes: B images, G glimpses, V labels.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hardpp.data.images.recorded_glimpses import still
from hardpp.design.expected_information import entropy
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.answers.sampling import PICKED
from hardpp.tasks.designing import CompletingRun, DesigningRun, DesignOptions, Watch
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_run import Glances, GlimpsingRun, Labels
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.masked_image.evaluation import AT_ONCE, evaluate, label_log_probs
from hardpp.tasks.masked_image.looking import Gaze, Gazes, MaskedImageDecoding, shown_by
from hardpp.tasks.opened_run import DataTree
from hardpp.types import ImageBatch


class MaskedImageRun(GlimpsingRun, DesigningRun):
    """A run on images; items are `SelectedImages` of one part."""

    @property
    def approximation(self) -> str:
        """One draw is shown of each image."""
        return PICKED

    def _evaluate(self, items: SelectedImages, options: MaskedImageDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _labels(self, items: SelectedImages, options: MaskedImageDecoding) -> Iterator[Labels]:
        for log_p in label_log_probs(self, items, options):
            yield Labels(log_p)

    # There is no exact posterior of places.
    def _posterior(self, items: SelectedImages, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.glimpse_draws import draw_glimpses, numbered
        from hardpp.diagnostics.glimpse_posterior import Images, middles

        found = ((rows, batch) for rows, batch, _ in batches(items, self.device, AT_ONCE))
        images = numbered(found, draws, items.stream)
        draw = partial(draw_glimpses, *self.programs, draws=draws, seed=seed)
        _, *size = items.part.size
        where = middles(self.programs.model.space, size)
        labels = Images(items.names, items.classes, items.indices, size, where)
        return labelled_draws(self, draw, images, labels, seed=seed)

    def _align(self, items: SelectedImages, of: str, form: str) -> Iterator[str]:
        model: Any = self.programs.model
        yield "\t".join(("image", "label", "glimpse", "row", "column", "prediction", "probability"))

        @torch.no_grad()
        def shown_places(rows: range, batch: ImageBatch, boxes: Any) -> list[list[Any]]:
            gaze = self._shown(items, rows, batch, of)
            probability, prediction = model.labels(batch.source, gaze.places)[:, 1:].exp().max(-1)
            columns = (batch.target, gaze.lengths, model.grid.corners(gaze.places), prediction, probability)
            return [values.tolist() for values in columns]

        for rows, of_images in self.each(batches(items, self.device, AT_ONCE), shown_places):
            for row, label, length, *of_image in zip(rows, *of_images, strict=True):
                shown = islice(zip(*of_image, strict=True), length)
                for g, ((top, left), best, p) in enumerate(shown, start=1):
                    cells = (items.names[row], items.classes[label], g, top, left, items.classes[best])
                    yield "\t".join(map(str, (*cells, f"{p:.4f}")))

    def _glances(self, items: SelectedImages, row: int, batch: ImageBatch) -> Glances:
        model: Any = self.programs.model
        gaze = self._shown(items, range(row, row + 1), batch, "prior")
        places = gaze.places[0, : int(gaze.lengths[0])]
        with torch.no_grad():
            probabilities = model.labels(batch.source, places.unsqueeze(0))[0, 1:].exp()
        corners = model.grid.corners(places).unsqueeze(1)  # (G, 1, 2)
        sides = torch.full(corners.shape[:-1], model.grid.patch)
        seen = model.grid.mask(places).cumsum(0).bool()
        return Glances(corners, sides, probabilities, shown_by(self.decoding({})), seen)

    @torch.no_grad()
    def _uncertainty(self, items: SelectedImages) -> list[float]:
        model: Any = self.programs.model
        gazes, found = Gazes(self, items, self.decoding({})), []
        for rows, batch, _ in batches(items, self.device, AT_ONCE):
            found += entropy(model.labels(batch.source, *gazes.at(rows))[:, -1]).tolist()
        return found

    def _design(
        self,
        path: Path,
        items: SelectedImages,
        options: DesignOptions,
        completion: str | CompletingRun,
        watch: Watch,
    ) -> dict[str, Any]:
        from hardpp.tasks.masked_image.design import design

        return design(self, path, self._items(items), options, completion, watch)

    def _plot_information(
        self,
        items: SelectedImages,
        options: DesignOptions,
        completion: str | CompletingRun,
        indices: Sequence[int],
    ) -> Figures:
        from hardpp.diagnostics.information_plot import information_figure
        from hardpp.tasks.masked_image.design import designer, glimpses_of

        glimpses = glimpses_of(self, options)
        chooser = designer(self, options, completion)
        files, grid, images = file_names(items.names), chooser.grid, still(items.part)
        source = completion if isinstance(completion, str) else f"run {completion.path.name}"
        note = self.note(f"entropy of the label that a look at each place was to leave, by {source}")
        for row in indices:
            (pixels,), boxes = images.read([items.indices[row]])
            label = items.classes[int(images.labels[items.indices[row]])]
            steps = chooser.design(pixels, glimpses, options.seed, options.budget)
            corners = grid.corners(torch.tensor([step.place for step in steps]))
            maps = [step.map_of(step.information.expected_entropy, grid.places) for step in steps]
            yield (
                files[row],
                information_figure(
                    pixels.movedim(0, -1).numpy(),
                    torch.stack(maps).view(-1, grid.cells, grid.cells).numpy(),
                    grid.starts.tolist(),
                    grid.patch,
                    [(top, left) for top, left in corners.tolist()],
                    gold=None if boxes is None else boxes[0].tolist(),
                    title=f"{items.names[row]} \N{EM DASH} {label}",
                    note=note,
                ),
            )

    # Where the run looks when it is asked about images ("prior"), the first draw of the guide, or one of its
    # draws, picked by its weight ("posterior").
    def _shown(self, items: SelectedImages, rows: range, batch: ImageBatch, of: str) -> Gaze:
        from hardpp.diagnostics.glimpse_draws import draw_locations, numbered, picked

        options: MaskedImageDecoding = self.decoding({})
        if of == "prior":
            return Gazes(self, items, options).at(rows)
        seed, draws = self.sampling.seed, self.sampling.draws

        def drawn(images: ImageBatch) -> Tensor:
            return picked(*draw_locations(*self.programs, images, draws), of)

        some = numbered([(rows, batch)], draws, items.stream)
        places = torch.cat([part for _, images in some for part in images.drawn_alike(drawn, seed)])
        return Gaze(places, torch.full(places.shape[:1], places.shape[1]))
