"""A few made-up images of one label each, without any file."""

import torch

from hardpp.data.images.labelled import InMemoryImages, LabelledImages

_CLASSES = ("left", "right", "both")
_SIZES = (6, 3, 3)  # of train, dev and test


def toy_images(side: int) -> LabelledImages:
    """Twelve grey images of so many pixels a side, with a bright bar on one side or on both."""
    train, dev, test = (_images(count, side, first) for first, count in enumerate(_SIZES))
    return LabelledImages("toy", train, dev, test, _CLASSES)


def _images(count: int, side: int, first: int) -> InMemoryImages:
    number = torch.arange(count)
    labels = number % len(_CLASSES)
    pixels = 8 * ((number + first)[:, None, None] + torch.arange(side)[:, None] + torch.arange(side))
    column = torch.arange(side) < side // 4
    left, right = labels != 1, labels != 0
    bright = (left[:, None] & column) | (right[:, None] & column.flip(0))  # (N, side)
    pixels = pixels.masked_fill(bright[:, None, :], 255).to(torch.uint8)
    return InMemoryImages(pixels.unsqueeze(1), labels)
