"""Images of which some have a sequence of glimpses on record: where to look, in order.

A sequence was made for the pixels of one image. So images that have one are always shown as they are in epoch
0, without augmentation; all others as ever.

Shapes: N images of a part, B images asked for, G glimpses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json, sha256_of_tensors
from hardpp.data.images.digit_scenes import Scenes
from hardpp.data.images.glimpse_sequences import GlimpseSequences, check_fits, image_names
from hardpp.data.images.labelled import FirstImages, ImagePart, ImagesWithBoxes, as_indices
from hardpp.data.images.resized_pictures import plain
from hardpp.errors import DataError


@dataclass(frozen=True, eq=False)
class RecordedGlimpses:
    """The images of a part, of which some have a sequence of glimpses."""

    part: ImagePart
    recorded: Tensor  # (N, G, 2) floating, see `hardpp.types.ImageBatch`

    @property
    def labels(self) -> Tensor:
        return self.part.labels

    @property
    def size(self) -> tuple[int, int, int]:
        return self.part.size

    @property
    def names(self) -> Sequence[str] | None:
        return self.part.names

    def __len__(self) -> int:
        return len(self.part)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        indices = torch.from_numpy(as_indices(places, len(self)))
        known = self.known[indices]
        if not known.any():
            return self.part.read(indices, epoch)
        pixels, boxes = self._still.read(indices[known])
        if known.all():
            return ImagesWithBoxes(pixels, boxes)
        others, of_others = self.part.read(indices[~known], epoch)
        order = torch.cat([known.nonzero(), (~known).nonzero()]).squeeze(-1).argsort()
        both = None if boxes is None or of_others is None else torch.cat([boxes, of_others])[order]
        return ImagesWithBoxes(torch.cat([pixels, others])[order], both)

    def fingerprint(self) -> str:
        """A hash that changes with the images, labels and sequences."""
        return sha256_of_json([self.part.fingerprint(), sha256_of_tensors(self.recorded)])

    def plain(self) -> "RecordedGlimpses":
        """The same without augmentation."""
        return RecordedGlimpses(plain(self.part), self.recorded)

    @cached_property
    def known(self) -> Tensor:
        """Which images have a sequence, bool (N,)."""
        return ~self.recorded.isnan().flatten(1).any(1)

    @cached_property
    def _still(self) -> ImagePart:
        return still(self.part)


def still(part: ImagePart) -> ImagePart:
    """The images of a part as they are in epoch 0 without augmentation, in every epoch."""
    if isinstance(part, FirstImages):
        return FirstImages(still(part.part), part.count)
    return part.still() if isinstance(part, Scenes) else plain(part)


def designed_for(part: ImagePart) -> ImagePart:
    """All images of a part as sequences are made for them, whose fingerprint these name."""
    return still(part.part if isinstance(part, FirstImages) else part)


def recorded_centres(
    sequences: GlimpseSequences, part: ImagePart, part_name: str, limit: int | None = None
) -> Tensor:
    """The centres of the patches of sequences, (N, G, 2), NaN of images that have none.

    Args:
        sequences: those of a file.
        part: all images of the part that they are of.
        part_name: which, one of train, dev and test.
        limit: only the first so many of the file.

    Raises:
        DataError: they were made for other images, or there are none.
    """
    _, height, width = part.size
    path, header = sequences.path, sequences.header
    if height != width:
        raise DataError(f"{path}: sequences are of square images, and these have {height} x {width} pixels")
    check_fits(sequences, designed_for(part), part_name, width)
    if header.fewest < header.glimpses:
        raise DataError(f"{path}: sequences end early, and only whole ones can be replayed")
    if not sequences.places:
        raise DataError(f"{path}: has a header, and no sequence")
    row = {name: index for index, name in enumerate(image_names(part, part_name))}
    centres = torch.full((len(part), header.glimpses, 2), torch.nan)
    for name, corners in list(sequences.places.items())[:limit]:
        centres[row[name]] = (2 * torch.tensor(corners) + header.patch) / header.size - 1
    return centres
