"""Which images train a model of glimpses, and how they become batches.

Shapes: B images.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pydantic import Field
from torch import Tensor

from hardpp.config import DataConfig
from hardpp.data.images.batches import collate
from hardpp.data.images.corpora import ImageOptions, corpus
from hardpp.data.images.labelled import ImagePart, LabelledImages, first_images
from hardpp.errors import DataError, UsageError
from hardpp.types import ImageBatch

AT_ONCE = 500  # images read at once when a run is asked about them


class GlimpseData(DataConfig):
    """Which images."""

    fresh: bool = Field(True, description="scenes of images to train on are placed anew in every epoch")


class Chosen(NamedTuple):
    """Images of a part that a run is asked about."""

    part: ImagePart
    places: list[int]
    names: list[str]
    classes: tuple[str, ...]


def load(config: GlimpseData, report: Callable[[str], None]) -> LabelledImages:
    """The images: a named corpus, fetched or made, or the user's own folder.

    Raises:
        DataError: they cannot be fetched or read.
    """
    found = corpus(config.name, ImageOptions(fresh=config.fresh), report)
    return found._replace(train=first_images(found.train, config.train_limit))


def describe(data: LabelledImages) -> dict[str, Any]:
    """Classes, the size of images, and the data's fingerprint."""
    return {"classes": list(data.classes), "size": list(data.train.size), "fingerprint": data.fingerprint()}


def chosen(data: LabelledImages, part: str | None, limit: int | None) -> Chosen:
    """A part of the images, or the first of it.

    Raises:
        UsageError: all parts at once, which are not one list.
    """
    if part == "all":
        raise UsageError("parts of images are asked about one by one", "give --part train, dev or test")
    name = part or "test"
    found: ImagePart = getattr(data, name)
    places = list(range(len(found)))[:limit]
    names = found.names or [f"{name}/{place}" for place in range(len(found))]
    return Chosen(found, places, list(names[:limit]), data.classes)


def batches(items: Chosen, device: Any = "cpu") -> Iterator[tuple[list[int], ImageBatch, Tensor | None]]:
    """The images by batches, with their places among the chosen and the boxes (B, 4) of what they show.

    Raises:
        DataError: there are no images.
    """
    if not items.places:
        raise DataError("there are no images in this part of the data")
    for start in range(0, len(items.places), AT_ONCE):
        places = items.places[start : start + AT_ONCE]
        rows = list(range(start, start + len(places)))
        boxes = items.part.read(places).boxes
        yield rows, collate(items.part, places).to(device), boxes
