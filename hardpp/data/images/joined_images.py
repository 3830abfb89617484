"""The images of several parts, one part after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.labelled import ImagePart, ImagesWithBoxes, as_indices
from hardpp.data.images.resized_pictures import at_side, plain


@dataclass(frozen=True)
class JoinedImages:
    """Images of one size, as `hardpp.data.images.labelled.ImagePart`; those to train on are not augmented.

    Args:
        parts: By name, one at least.
    """

    parts: dict[str, ImagePart]

    @property
    def labels(self) -> Tensor:
        return torch.cat([part.labels for part in self.parts.values()])

    @property
    def size(self) -> tuple[int, int, int]:
        return next(iter(self.parts.values())).size

    @property
    def names(self) -> list[str]:
        """Those of the images, or train/0, train/1, ... without any."""
        return [
            name
            for called, part in self.parts.items()
            for name in part.names or [f"{called}/{index}" for index in range(len(part))]
        ]

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        wanted = as_indices(places, len(self))
        pixels = torch.empty(len(wanted), *self.size, dtype=torch.uint8)
        boxes: Tensor | None = torch.zeros(len(wanted), 4, dtype=torch.int64)
        start = 0
        for part in self.parts.values():
            rows = ((wanted >= start) & (wanted < start + len(part))).nonzero()[0]
            if len(rows):
                shown = plain(part).read((wanted[rows] - start).tolist(), epoch)
                pixels[rows] = shown.pixels
                if shown.boxes is None:
                    boxes = None
                elif boxes is not None:
                    boxes[rows] = shown.boxes
            start += len(part)
        return ImagesWithBoxes(pixels, boxes)

    def fingerprint(self) -> str:
        """SHA-256 of every part."""
        return sha256_of_json([part.fingerprint() for part in self.parts.values()])

    def plain(self) -> "JoinedImages":
        """These images, which have no augmentation."""
        return self

    def at_side(self, side: int) -> "JoinedImages":
        """The same pictures at another side in pixels; a UsageError if they are no pictures of files."""
        return JoinedImages({name: at_side(part, side) for name, part in self.parts.items()})
