"""Images with sentences about them: what every reader of such data returns.

An image has one or more references, sentences that people (or a grammar) have written about it. Where it is
known which part of the image a word speaks of, the word has a gold box.

Shapes: N images of a part, B images asked for, C channels, H x W pixels.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.rasters import Box
from hardpp.data.parts import PARTS

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")  # with an apostrophe inside, straight or not


class Caption(NamedTuple):
    """One sentence about an image."""

    words: tuple[str, ...]  # at least one
    gold: Mapping[int, Box] | None = None  # place of a word -> where in the image; None if not known


class Pixels(Protocol):
    """Images of one size."""

    @property
    def size(self) -> tuple[int, int, int]:
        """C, H, W."""

    def __len__(self) -> int: ...

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        """The images at those places, or all of them: (B, C, H, W) uint8."""

    def fingerprint(self) -> str:
        """A hash that changes with the images."""


@dataclass(frozen=True)
class CaptionedPart:
    """Images of one part with their references."""

    names: Sequence[str]  # N, by which people find an image again
    images: Pixels  # N, read when they are asked for
    captions: Sequence[tuple[Caption, ...]]  # N, at least one reference each

    def __post_init__(self) -> None:
        counts = {len(self.names), len(self.images), len(self.captions)}
        if len(counts) > 1 or not all(self.captions):
            raise ValueError(f"expected as many names, images and references, one at least, got {counts}")

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int | None) -> "CaptionedPart":
        """The first `count` images with their references; all of them when `count` is None."""
        if count is None or count >= len(self):
            return self
        images = ImageSubset(self.images, range(count))
        return CaptionedPart(self.names[:count], images, self.captions[:count])

    def fingerprint(self) -> str:
        """SHA-256 of names, images and captions, boxes included."""
        digest = hashlib.sha256(self.images.fingerprint().encode())
        for name, references in zip(self.names, self.captions, strict=True):
            described = [
                [caption.words, caption.gold and sorted(caption.gold.items())] for caption in references
            ]
            digest.update(json.dumps([name, described]).encode() + b"\n")
        return digest.hexdigest()


class CaptionedImages(NamedTuple):
    """Images and captions in three parts that share no image."""

    name: str
    train: CaptionedPart
    dev: CaptionedPart
    test: CaptionedPart

    def fingerprint(self) -> str:
        """SHA-256 of every part."""
        return sha256_of_json([part.fingerprint() for part in (self.train, self.dev, self.test)])


@dataclass(frozen=True)
class ImageSubset:
    """Some images of a list that several parts share."""

    images: Pixels
    places: Sequence[int]  # in the list, in order

    @property
    def size(self) -> tuple[int, int, int]:
        return self.images.size

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        of_list = self.places if places is None else [self.places[int(place)] for place in places]
        return self.images.read(of_list)

    def fingerprint(self) -> str:
        return sha256_of_json([self.images.fingerprint(), list(self.places)])


def captioned_parts(
    name: str, images: Pixels, examples: Mapping[str, Sequence[tuple[str, tuple[Caption, ...]]]]
) -> CaptionedImages:
    """Build three parts from one list that holds all their images.

    Args:
        name: Of the data.
        images: Those of train, then those of dev, then those of test.
        examples: For each part the name and the references of every image.
    """
    parts, start = {}, 0
    for part in PARTS:
        names, captions = zip(*examples[part], strict=True)
        places = range(start, start + len(names))
        parts[part] = CaptionedPart(names, ImageSubset(images, places), captions)
        start += len(names)
    return CaptionedImages(name, **parts)


def words_of(text: str) -> tuple[str, ...]:
    """Split a sentence into words in lower case, without punctuation."""
    return tuple(_WORD.findall(text.lower()))
