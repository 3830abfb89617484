"""Images of one label each, as families of models of images describe, select and batch them.

Shapes: B images.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from operator import eq
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from hardpp.data.images.glimpse_sequences import image_names
from hardpp.data.images.joined_images import JoinedImages
from hardpp.data.images.labelled import ImagePart, LabelledImages
from hardpp.data.parts import ALL, PARTS
from hardpp.errors import DataError
from hardpp.tasks.family import Description
from hardpp.tasks.item_lists import Selection
from hardpp.types import ImageBatch

AT_ONCE = 500  # images read at once when a run is asked about them


class ImagesDescription(Description):
    """The classes and the size of the images."""

    classes: list[str] = Field(min_length=1)
    size: list[Annotated[int, Field(ge=1)]] = Field(min_length=3, max_length=3)  # channels, height, width


@dataclass(frozen=True)
class SelectedImages(Selection):
    """Images of one part that a run is asked about."""

    part: ImagePart
    indices: list[int]  # of the images in the part
    names: list[str]
    classes: tuple[str, ...]
    part_name: str = "test"  # train, dev, test or all
    data: str = ""  # what the images are called

    def __len__(self) -> int:
        return len(self.indices)

    def at(self, indices: Sequence[int]) -> "SelectedImages":
        """Some of the images, by their rows."""
        names = [self.names[row] for row in indices]
        return replace(self, indices=[self.indices[row] for row in indices], names=names)

    def stream(self, row: int, batch: Any = None) -> int:
        """Which stream of random numbers is that of the image of a row, whichever others there are."""
        return self.indices[row]

    def batch(self, rows: slice = slice(None)) -> tuple[ImageBatch, Tensor | None]:
        """The images, or some of them, and the boxes (B, 4) of their objects; None if they are not known.

        Raises:
            DataError: there are no images.
        """
        indices = self.indices[rows]
        if not indices:
            raise DataError("there are no images in this part of the data")
        shown = self.part.read(indices)
        return ImageBatch(shown.pixels, self.part.labels[indices]), shown.boxes


def select(images: LabelledImages, part: str | None, limit: int | None) -> SelectedImages:
    """A part of the images (the test part if none is named), or "all", or the first of it."""
    parts = {name: getattr(images, name) for name in PARTS}
    return select_part(parts, part or "test", limit, images.classes, images.name)


def select_part(
    parts: Mapping[str, ImagePart], part: str, limit: int | None, classes: Sequence[str], name: str
) -> SelectedImages:
    """One of some parts, or all of them, or the first of it; `name` is that of the data.

    Raises:
        DataError: there is no such part.
    """
    if part == ALL and ALL not in parts:
        selected: ImagePart = JoinedImages(dict(parts))
    elif part in parts:
        selected = parts[part]
    else:
        there = "no folders of parts" if ALL in parts else f"parts {', '.join(parts)}"
        hint = "leave --part out" if ALL in parts else f"give --part {next(iter(parts))}, or all"
        raise DataError(f"{name}: has {there}, and part {part} is asked for", hint)
    indices = list(range(len(selected)))[:limit]
    names = image_names(selected, part)
    return SelectedImages(selected, indices, list(names[:limit]), tuple(classes), part, name)


def accuracy(images: SelectedImages, log_probs: Iterable[Tensor]) -> float:
    """The share of images whose class is the likeliest by log-probabilities (B, V), batch by batch."""
    labels = images.part.labels[images.indices].tolist()
    said = (best for log_p in log_probs for best in log_p.argmax(-1).tolist())
    return sum(starmap(eq, zip(said, labels, strict=True))) / len(labels)


def batches(
    images: SelectedImages,
    device: Any = "cpu",
    at_once: int | None = None,
    watch: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[range, ImageBatch, Tensor | None]]:
    """The images in batches on a device, each with the rows of its images and their objects' boxes (B, 4).

    `watch` is told how many images a batch had once the next is asked for.
    """
    at_once = at_once or AT_ONCE
    for start in range(0, len(images.indices) or 1, at_once):  # or 1: `batch` refuses none
        batch, boxes = images.batch(slice(start, start + at_once))
        yield range(start, start + batch.size), batch.to(device), boxes
        watch(batch.size)
