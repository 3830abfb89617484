"""Images with sentences about them: what every reader of such data returns.

An image has one or more references, sentences that people (or a grammar) have written about it. Where it is
known which part of the image a word speaks of, the word has a gold box.

Shapes: N images of a part, B images asked for, C channels, H x W pixels.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.rasters import Box
from hardpp.data.parts import PARTS
from hardpp.data.words import CHARACTER, WORD, compiled, folded

# With an apostrophe inside, straight or not.
_WORD = compiled(rf"{CHARACTER}|{WORD}(?:['\u2019]{WORD})*")


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


@dataclass(frozen=True)
class JoinedPixels:
    """Lists of images of one size, one after the other."""

    lists: Sequence[Pixels]  # one at least

    @property
    def size(self) -> tuple[int, int, int]:
        return self.lists[0].size

    def __len__(self) -> int:
        return sum(map(len, self.lists))

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        of_lists = [(images, place) for images in self.lists for place in range(len(images))]
        wanted = range(len(self)) if places is None else [int(place) for place in places]
        found = [of_lists[place][0].read([of_lists[place][1]]) for place in wanted]
        return torch.cat(found) if found else torch.empty(0, *self.size, dtype=torch.uint8)

    def fingerprint(self) -> str:
        return sha256_of_json([images.fingerprint() for images in self.lists])


def captioned_parts(
    name: str, images: Pixels, examples: Mapping[str, Sequence[tuple[str, tuple[Caption, ...]]]]
) -> CaptionedImages:
    """Build three parts from one list that holds all their images.

    Args:
        name: Of the data.
        images: Those of train, then those of dev, then those of test.
        examples: For each part the name and the references of every image.
    """
    return CaptionedImages(name, **parts_of(images, {part: examples[part] for part in PARTS}))


def parts_of(
    images: Pixels, examples: Mapping[str, Sequence[tuple[str, tuple[Caption, ...]]]]
) -> dict[str, CaptionedPart]:
    """Build parts of any names from one list of their images, part after part."""
    parts, start = {}, 0
    for part, of_part in examples.items():
        names, captions = zip(*of_part, strict=True) if of_part else ((), ())
        places = range(start, start + len(names))
        parts[part] = CaptionedPart(names, ImageSubset(images, places), captions)
        start += len(names)
    return parts


def joined_parts(parts: Sequence[CaptionedPart]) -> CaptionedPart:
    """Several parts as one, one after the other."""
    names = [name for part in parts for name in part.names]
    captions = [references for part in parts for references in part.captions]
    return CaptionedPart(names, JoinedPixels([part.images for part in parts]), captions)


def words_of(text: str) -> tuple[str, ...]:
    """Split a sentence of any script into words in lower case, without punctuation (`hardpp.data.words`)."""
    return tuple(_WORD.findall(folded(text)))
