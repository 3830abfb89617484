"""What an opened run on images with codes answers: figures, bits, draws of codes, plots of completions.

Shapes: B images, N completions, T patches.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from hardpp.design.learned_completion import LearnedCompletion
from hardpp.diagnostics.seeds import stream
from hardpp.errors import UsageError
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.designing import CompletingRun
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_run import Drawing, ImageRun
from hardpp.tasks.image_vae.evaluation import (
    ImageVAEDecoding,
    bits,
    bounds,
    evaluate,
    partial_codes,
    partly_seen,
    seen_of,
)
from hardpp.tasks.labelled_images import SelectedImages
from hardpp.tasks.opened_run import DataTree, Decoded
from hardpp.tasks.random_places import places_of
from hardpp.types import PartlySeenBatch

SHOWN = 6  # completions in a plot


class ImageVAERun(ImageRun, CompletingRun):
    """A run on images; items are `SelectedImages` of one part."""

    uncertainty = "bits a pixel and channel, how improbable the image is"
    error = ""  # no text is right

    def completion(
        self, draws: int = 100, *, first: int | None = None, weighted: bool = False
    ) -> LearnedCompletion:
        """What completes images that are seen in part, as `hardpp.design.completion.Completion` says.

        Args:
            draws: completions of an image.
            first: the same where nothing was seen; None: as many.
            weighted: weigh them by the prior, what was seen and the partial encoder, or all the same.

        Raises:
            UsageError: the run has no partial encoder.
        """
        model: Any = self.programs.model
        codes = partial_codes(self)
        if codes is None:
            raise UsageError("this run completes no images: it has no partial encoder", "train both stages")
        prior = model.standard.log_prob if weighted else None
        return LearnedCompletion(codes, model.pixels, draws, prior, self.device, first=first)

    def _batch(self, items: SelectedImages) -> PartlySeenBatch:
        rows = range(len(items.indices))
        return seen_of(self, items, rows, super()._batch(items), self.decoding({}))

    def _evaluate(self, items: SelectedImages, options: ImageVAEDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    # All that an autoencoder can say of an image is how probable it is.
    def _decode(self, items: SelectedImages, options: ImageVAEDecoding) -> list[Decoded]:
        texts = [f"{value:.9g}" for value in bits(bounds(self, items, options), items).tolist()]
        return [Decoded(*named) for named in zip(items.names, texts, strict=True)]

    def _posterior(self, items: SelectedImages, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.tasks.image_vae.posterior import CodeLabels, draw_codes

        images = (
            (row, PartlySeenBatch(*(part[b : b + 1] for part in batch)))
            for rows, batch in partly_seen(self, items, self.decoding({}))
            for b, row in enumerate(rows)
        )
        draw = partial(draw_codes, *self.programs, draws=draws)
        labels = CodeLabels(items.names, items.indices)
        return labelled_draws(self, draw, images, labels, seed=seed, streams=items.stream)

    # `alignment_forms` has none, so nobody asks.
    def _align(self, items: SelectedImages, of: str, form: str) -> Iterator[str]:
        raise NotImplementedError

    def _uncertainty(self, items: SelectedImages) -> list[float]:
        of_images: list[float] = bits(bounds(self, items, self.decoding({})), items).tolist()
        return of_images

    def _drawn(self, items: SelectedImages, indices: Sequence[int]) -> Iterator[Drawing]:
        from hardpp.diagnostics.completion_plot import completion_figure

        options: ImageVAEDecoding = self.decoding({})
        completion, grid = self.completion(max(options.draws, SHOWN)), self.network.grid(self.description)
        note = self.note("what the model's draws make of what was not seen")
        files = file_names(items.names)  # of all, so that an image has the same whichever are drawn with it
        for row in indices:
            batch, _ = items.batch(slice(row, row + 1))
            image, index = batch.source[0], items.indices[row]
            (places,) = places_of(grid, [index], self.network.glimpses, options.seed)
            seen = torch.stack([grid.seen(places[:t]) for t in range(len(places) + 1)])  # (T + 1, ...)
            seed = stream(options.seed, index)
            completed = [completion.complete(image, mask, seed).pixels for mask in seen]
            draw = partial(
                completion_figure,
                image.numpy(),
                seen.numpy(),
                torch.stack(completed).numpy(),
                draws=SHOWN,
                title=items.names[row],
                note=note,
            )
            yield files[row], draw, len(places)
