"""What opened runs on images of one label each have in common: selection, batches and pictures."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hardpp.errors import DataError
from hardpp.tasks.labelled_images import ImagesDescription, SelectedImages, select
from hardpp.tasks.opened_run import Animations, Figures, OpenedRun, Report

# Of an image the name of its file, what draws it (with `shown=`, only so many glimpses), and their number.
Drawing = tuple[str, Callable[..., Any], int]


class ImageRun(OpenedRun):
    """A run that looks at images glimpse by glimpse; items are `SelectedImages` of one part."""

    description: ImagesDescription
    selection = SelectedImages

    def data_config(self, data: str | None) -> Any:
        """Without sequences of glimpses, which are for training."""
        config = super().data_config(data)
        none = {"sequences": None, "sequences_limit": None}
        return config.model_copy(update={key: none[key] for key in none if hasattr(config, key)})

    def _select(
        self, data: str | None, part: str | None, limit: int | None, report: Report
    ) -> SelectedImages:
        images = self._load(data, report)
        for name, there in (("size", list(images.test.size)), ("classes", list(images.classes))):
            if there != (trained_on := getattr(self.description, name)):
                raise DataError(
                    f"{images.name}: {name} of images {there}, and this run was trained on {trained_on}"
                )
        return select(images, part, limit)

    def _batch(self, items: SelectedImages) -> Any:
        batch, _ = items.batch()
        return batch.to(self.device)

    def _plot(self, items: SelectedImages, count: int, names: Sequence[str]) -> Figures:
        for name, draw, _ in self._drawn(items, count, names):
            yield name, draw()

    def _animate(self, items: SelectedImages, count: int, names: Sequence[str]) -> Animations:
        for name, draw, glimpses in self._drawn(items, count, names):
            yield name, [draw(shown=number) for number in range(1, glimpses + 1)]

    @abstractmethod
    def _drawn(self, items: SelectedImages, count: int, names: Sequence[str]) -> Iterator[Drawing]: ...
