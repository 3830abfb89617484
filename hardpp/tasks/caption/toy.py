"""Made-up captions of bright bars, and networks of a few numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hardpp.data.captions.captioned import Caption, CaptionedImages, captioned_parts
from hardpp.data.parts import PARTS
from hardpp.tasks.family import Toy

_CAPTIONS = {
    "train": ("bar", "bar left", "bar right now", "no bar", "bar left now"),
    "dev": ("bar right", "no bar", "bar"),
    "test": ("bar left", "bar", "no bar now"),
}


class Bars:
    """Images in colour, in memory."""

    size = (3, 110, 110)

    def __len__(self) -> int:
        return sum(map(len, _CAPTIONS.values()))

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        chosen = torch.arange(len(self)) if places is None else torch.as_tensor(places)
        columns = (torch.arange(110) + 11 * chosen[:, None]) % 110 < 30  # (B, width)
        bright = columns[:, None, None, :].expand(-1, *self.size)
        return torch.where(bright, 250, 20).to(torch.uint8)

    def fingerprint(self) -> str:
        return "bars"


def toy() -> Toy:
    """Eleven images with a caption each; the first has one word."""
    examples = {part: [(text, (Caption(tuple(text.split())),)) for text in _CAPTIONS[part]] for part in PARTS}
    images: CaptionedImages = captioned_parts("toy", Bars(), examples)
    network = {
        **{"kernels": [4, 4, 4, 4, 4], "image": 2, "embedding": 8, "decoder": 8, "attention": 8},
        **{"guide": 8},
    }
    settings = {
        "network": network,
        "training": {"batch_size": 8, "log_every": 1},
        "optimiser": {"warmup_steps": 1},
    }
    return Toy(images, settings)
