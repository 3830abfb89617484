"""What opened runs on images of one label each have in common: selection, batches and pictures.

Shapes: G glimpses, L windows of a glimpse, V labels; height x width the image.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.data.images.asked_pictures import (
    AskedPicture,
    Wanted,
    are_asked,
    asked_pictures,
    labelled_parts,
    named_pictures,
    unlabelled_part,
)
from hardpp.data.images.corpora import is_of_classes
from hardpp.data.images.idx import is_idx_folder, labelled_images
from hardpp.data.images.labelled import ImagePart, LabelledImages
from hardpp.data.lines import OnBad
from hardpp.data.parts import ALL
from hardpp.errors import DataError
from hardpp.tasks.answers.class_hypotheses import likeliest
from hardpp.tasks.answers.pictures import Animations, Figures
from hardpp.tasks.file_names import file_names
from hardpp.tasks.labelled_images import ImagesDescription, SelectedImages, select, select_part
from hardpp.tasks.opened_run import Decoded, OpenedRun, Report, is_own
from hardpp.types import ImageBatch

# Of an image the name of its file, what draws it (with `shown=`, only so many glimpses), and their number.
Drawing = tuple[str, Callable[..., Any], int]


class ImageRun(OpenedRun):
    """A run on images; items are `SelectedImages` of one part."""

    description: ImagesDescription
    selection = SelectedImages
    kind = "images"
    error = "wrong labels"

    def data_config(self, data: str | None) -> Any:
        """Without sequences of glimpses, which are for training."""
        config = super().data_config(data)
        none = {"sequences": None, "sequences_limit": None}
        return config.model_copy(update={key: none[key] for key in none if hasattr(config, key)})

    def _select(
        self, data: str | None, part: str | None, limit: int | None, report: Report
    ) -> SelectedImages:
        if data is None or is_own(self, data) or not is_of_classes(data):
            numbered = data is not None and is_idx_folder(Path(data))
            images = self._numbered(Path(str(data)), report) if numbered else self._load(data, report)
            items = select(images, part, limit)
            self._check_like(items)
            if data is None and self._has_changed(images):
                what = "these are not the pictures, or the parts, that the run was trained on"
                report(f"warning: {what}: some may have been trained on")
            return items
        parts = labelled_parts(Path(data), self._wanted, report)
        whole = ALL if ALL in parts else "test"
        return select_part(parts, part or whole, limit, self.description.classes, Path(data).resolve().name)

    def _check_like(self, items: SelectedImages, of: str = "") -> None:
        for name, there in (("size", list(items.part.size)), ("classes", list(items.classes))):
            if there != (trained_on := getattr(self.description, name)):
                what = f"{name} of images {there}, and this run was trained on {trained_on}"
                raise DataError(f"{items.data}: {what}")

    # Of a folder that was read anew; sequences of training are left out of what is compared.
    def _has_changed(self, images: LabelledImages) -> bool:
        config = self.config.data
        if self.data is not None or getattr(config, "sequences", None) or not is_of_classes(config.name):
            return False
        return images.fingerprint() != self.description.fingerprint

    # IDX files, which may not have all of the run's classes, if these are numbers.
    def _numbered(self, folder: Path, report: Report) -> LabelledImages:
        classes = self.description.classes
        known = classes if classes == [str(number) for number in range(len(classes))] else None
        return labelled_images(folder, folder.resolve().name, known, report)

    @property
    def _wanted(self) -> Wanted:
        channels, height, width = self.description.size
        side: int | None = getattr(self.config.data, "side", None)
        if channels == 1:  # of pictures that were read at a side there are colours
            side = None
        on_bad: OnBad = getattr(self.config.data, "on_bad", "stop")
        return Wanted((channels, height, width), side, self.description.classes, on_bad)

    def _read_inputs(self, path: Path, report: Report) -> list[AskedPicture | None]:
        return asked_pictures(path, self._wanted.on_bad, report)

    def _from_texts(self, texts: Sequence[str]) -> list[AskedPicture | None]:
        return named_pictures(texts)

    def _gathered(self, items: Any) -> Any:
        if not are_asked(items):
            return items
        part, names = unlabelled_part(items, self._wanted), [each.name for each in items]
        return SelectedImages(part, list(range(len(items))), names, tuple(self.description.classes), "")

    def training_images(self) -> ImagePart:
        """The images that the run was trained on, read anew where they are not at hand."""
        images: LabelledImages = self._load(None, lambda text: None)
        return images.train

    def _batch(self, items: SelectedImages) -> Any:
        batch, _ = items.batch()
        return batch.to(self.device)

    def _plot(self, items: SelectedImages, indices: Sequence[int]) -> Figures:
        for name, draw, _ in self._drawn(items, indices):
            yield name, draw()

    def _animate(self, items: SelectedImages, indices: Sequence[int]) -> Animations:
        for name, draw, glimpses in self._drawn(items, indices):
            yield name, [draw(shown=number) for number in range(1, glimpses + 1)]

    def _names(self, items: SelectedImages) -> list[str]:
        return items.names

    def _right(self, items: SelectedImages) -> list[tuple[str, ...]]:
        return [(items.classes[int(items.part.labels[index])],) for index in items.indices]

    def _error(self, said: str, right: Sequence[str]) -> float:
        return float(said not in right)

    @abstractmethod
    def _drawn(self, items: SelectedImages, indices: Sequence[int]) -> Iterator[Drawing]: ...


class Glances(NamedTuple):
    """The glimpses of one image."""

    corners: Tensor  # (G, L, 2) rows and columns of the windows' top left pixels
    sides: Tensor  # (G, L) their pixels a side
    probabilities: Tensor  # (G, V) of labels after each glimpse
    shown: str  # which glimpses these are
    seen: Tensor | None = None  # (G, height, width) bool, what the label is said from after each


class Labels(NamedTuple):
    """What is said of some images."""

    log_prob: Tensor  # (B, V) of labels, in nats
    exact: bool = False  # not of a mean over draws of glimpses, nor given where they went


class GlimpsingRun(ImageRun):
    """A run that says labels, and whose glimpses are drawn over the image beside the label after each."""

    uncertainty = "entropy of the label after the last glimpse, nats"

    def _decode(self, items: SelectedImages, options: Any) -> Iterator[Decoded]:
        names = iter(items.names)
        for labels in self._labels(items, options):
            for best in labels.log_prob.argmax(-1).tolist():
                yield Decoded(next(names), items.classes[best])

    def _nbest(self, items: SelectedImages, options: Any, nbest: int) -> Iterator[Decoded]:
        names = iter(items.names)
        for log_prob, exact in self._labels(items, options):
            for hypotheses in likeliest(log_prob, items.classes, nbest, exact=exact):
                yield Decoded(next(names), hypotheses[0].text, hypotheses)

    @abstractmethod
    def _labels(self, items: SelectedImages, options: Any) -> Iterator[Labels]:
        """What is said of the images, batch by batch."""

    @abstractmethod
    def _glances(self, items: SelectedImages, row: int, batch: ImageBatch) -> Glances:
        """The glimpses of the image of a row, which is the only one of a batch on the run's device."""

    def _uncertainty(self, items: SelectedImages) -> list[float]:
        entropies = []
        for row in range(len(items.indices)):
            batch, _ = items.batch(slice(row, row + 1))
            last = self._glances(items, row, batch.to(self.device)).probabilities[-1]
            entropies.append(float(-torch.special.xlogy(last, last).sum()))
        return entropies

    def _drawn(self, items: SelectedImages, indices: Sequence[int]) -> Iterator[Drawing]:
        from hardpp.diagnostics.glimpse_plot import glimpse_figure

        files = file_names(items.names)  # of all, so that an image has the same whichever are drawn with it
        for row in indices:
            batch, boxes = items.batch(slice(row, row + 1))
            glances = self._glances(items, row, batch.to(self.device))
            draw = partial(
                glimpse_figure,
                batch.source[0].movedim(0, -1).numpy(),
                glances.corners.cpu().numpy(),
                glances.sides.cpu().numpy(),
                glances.probabilities.cpu().numpy(),
                items.classes,
                label=int(batch.target[0]),
                gold=None if boxes is None else boxes[0].tolist(),
                title=items.names[row],
                note=self.note(glances.shown),
                seen=None if glances.seen is None else glances.seen.cpu().numpy(),
            )
            yield files[row], draw, len(glances.corners)
