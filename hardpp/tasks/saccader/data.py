"""The images that Saccader is trained on: which, and their features, where a stage keeps what computes them.

Shapes: B images, F channels, C places a side.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from hardpp.data.images.labelled import ImagePart, ImagesWithBoxes, LabelledImages
from hardpp.data.images.resized_pictures import plain
from hardpp.nn.bagnet import BagNet
from hardpp.nn.modes import evaluating
from hardpp.tasks.picture_data import PictureData
from hardpp.tasks.recorded_sequences import SequenceOptions

REMEMBERED = 3 * 2**30  # bytes of features that are kept
BLOCK = 32  # images whose features are computed together


class SaccaderData(SequenceOptions, PictureData):
    """Which images, and how those to train on are changed from epoch to epoch."""

    side: int = Field(
        112, ge=8, le=10_000, description="pixels a side at which pictures of any size are read"
    )
    smallest_area: float = Field(0.08, gt=0, le=1, description="of a crop, as a share of the picture")


class Features:
    """Images of one part as a network's features, computed when they are first asked for, and then kept.

    They are features of the images as they are without augmentation, the same in every epoch: to the bit,
    since they are computed in the same company, whatever is asked for with them. Those beyond `REMEMBERED`
    bytes are computed anew each time.

    Args:
        part: the images.
        network: computes them, in evaluation mode; its weights must not change once the first features were
            asked for.
    """

    def __init__(self, part: ImagePart, network: BagNet):
        self.part, self.network = part, network
        self.names, self.labels, self.size = part.names, part.labels, part.size
        self.recorded: Tensor | None = getattr(part, "recorded", None)
        each = 4 * network.channels * network.field.places(part.size[-1]) ** 2  # bytes
        self._room = min(len(part), REMEMBERED // each)  # images from the first one on that are kept
        self._kept: dict[int, Tensor] = {}  # by the number of a block of images

    def __len__(self) -> int:
        return len(self.part)

    def fingerprint(self) -> str:
        """That of the images."""
        return self.part.fingerprint()

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        """The features of the images at those places, float32."""
        wanted = range(len(self)) if places is None else [int(place) for place in places]
        for block in dict.fromkeys(place // BLOCK for place in wanted if place < self._room):
            if block not in self._kept:
                within = range(BLOCK * block, min(BLOCK * (block + 1), self._room))
                self._kept[block] = self._computed(list(within))
        others = [place for place in wanted if place >= self._room]
        found = dict(zip(others, self._computed(others), strict=True)) if others else {}
        rows = [found[p] if p in found else self._kept[p // BLOCK][p % BLOCK] for p in wanted]
        return ImagesWithBoxes(torch.stack(rows), None)

    @torch.no_grad()
    def _computed(self, places: list[int]) -> Tensor:
        pixels = self.part.read(places).pixels.to(self.network.mean.device)
        with evaluating(self.network):
            return self.network.features(pixels).cpu()


def with_features(images: LabelledImages, network: BagNet) -> LabelledImages:
    """Images of which train and dev are features of them, without augmentation."""
    train, dev = (Features(plain(part), network) for part in (images.train, images.dev))
    return images._replace(train=train, dev=dev)
