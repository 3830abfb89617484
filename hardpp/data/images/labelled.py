"""Images with one label each: what every reader of such data returns.

Pixels are read by place and epoch, since the images of a part may be made when they are asked for, and may be
other ones in every epoch: scenes are put together anew, so that a training set never ends.

Shapes: N images of a part, B images asked for, C channels, H x W pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.digests import sha256_of_json, sha256_of_tensors
from hardpp.data.lines import Report
from hardpp.types import ImageBatch

_SHOWN = 5  # names in one message


class ImagesWithBoxes(NamedTuple):
    """Images, and the box of the object in each."""

    pixels: Tensor  # (B, C, H, W) uint8
    boxes: Tensor | None  # (B, 4) int64 left, top, right, bottom, the last two exclusive; None if not known


class ImagePart(Protocol):
    """Images of one part, all of one size."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64, which class each image is of."""

    @property
    def size(self) -> tuple[int, int, int]:
        """C, H, W."""

    @property
    def names(self) -> Sequence[str] | None:
        """N, by which people find the images again; None if only their places tell them apart."""

    def __len__(self) -> int: ...

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        """The images at those places, or all of them, as they are in an epoch."""

    def fingerprint(self) -> str:
        """A hash that changes with the images and labels."""


class LabelledImages(NamedTuple):
    """Images in three parts."""

    name: str
    train: ImagePart
    dev: ImagePart
    test: ImagePart
    classes: tuple[str, ...]  # class n of the labels is the n-th

    def fingerprint(self) -> str:
        """SHA-256 of the classes and of every part."""
        parts = [part.fingerprint() for part in (self.train, self.dev, self.test)]
        return sha256_of_json([self.classes, parts])


def report_missing(part: str, labels: Iterable[str], classes: Sequence[str], report: Report) -> None:
    """Tell of which classes a part has no image, by the labels of those it has."""
    present = set(labels)
    if missing := [name for name in classes if name not in present]:
        names = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        report(f"{part} has no image of {len(missing)} of the {len(classes)} classes: {names}")


@dataclass(frozen=True)
class InMemoryImages:
    """Images in memory; they are the same in every epoch."""

    images: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64
    names: ClassVar[None] = None

    def __post_init__(self) -> None:
        kinds = (self.images.dtype, self.labels.dtype)
        if kinds != (torch.uint8, torch.int64) or self.images.ndim != 4:
            raise ValueError(
                f"expected images (N, C, H, W) uint8 and labels int64, got {self.images.shape} and {kinds}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"expected {len(self.images)} labels, got {tuple(self.labels.shape)}")

    @property
    def size(self) -> tuple[int, int, int]:
        return tuple(self.images.shape[1:])  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        return ImagesWithBoxes(self.images if places is None else self.images[torch.as_tensor(places)], None)

    def fingerprint(self) -> str:
        return sha256_of_tensors(self.images, self.labels)

    def part(self, start: int | None, end: int | None) -> "InMemoryImages":
        """The images from one place to another, without copying them."""
        return InMemoryImages(self.images[start:end], self.labels[start:end])

    def at(self, places: Tensor) -> "InMemoryImages":
        """The images at some places, copied."""
        return InMemoryImages(self.images[places], self.labels[places])


@dataclass(frozen=True)
class FirstImages:
    """The first images of a part."""

    part: ImagePart
    count: int  # at most as many as there are

    @property
    def labels(self) -> Tensor:
        return self.part.labels[: self.count]

    @property
    def size(self) -> tuple[int, int, int]:
        return self.part.size

    @property
    def names(self) -> Sequence[str] | None:
        return None if self.part.names is None else self.part.names[: self.count]

    def __len__(self) -> int:
        return self.count

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        return self.part.read(range(self.count) if places is None else places, epoch)

    def fingerprint(self) -> str:
        return sha256_of_json([self.part.fingerprint(), self.count])


def first_images(part: ImagePart, count: int | None) -> ImagePart:
    """The first `count` images of a part; all of them when `count` is None."""
    return part if count is None or count >= len(part) else FirstImages(part, count)


def collate(part: ImagePart, places: Sequence[int], epoch: int = 0) -> ImageBatch:
    """A batch of the images at those places, one at least, as they are in an epoch, with their labels.

    It has recorded glimpses if the part has (`hardpp.data.images.recorded_glimpses`).
    """
    if not places:
        raise ValueError("expected at least one image a batch, got none")
    recorded: Tensor | None = getattr(part, "recorded", None)
    recorded = None if recorded is None else recorded[list(places)]
    if recorded is not None and recorded.isnan().all():
        recorded = None
    return ImageBatch(part.read(places, epoch).pixels, part.labels[list(places)], recorded)


def as_indices(places: Sequence[int] | Tensor | None, count: int) -> NDArray[np.int64]:
    """Places as an array of indices; 0 to `count` - 1 when there are none."""
    if places is None:
        return np.arange(count)
    return torch.as_tensor(places, dtype=torch.int64).numpy()
