"""Questions about images: what every reader of such data returns.

An image is pixels, which a network cuts into regions itself, or regions that somebody else found, each
with its features and box.

Shapes: S regions, F features of a region.
"""

import json
from typing import Any, Literal, NamedTuple, Protocol

from numpy.typing import NDArray

from hardpp.data.digests import sha256_of_parts
from hardpp.data.images.rasters import Box
from hardpp.data.words import CHARACTER, WORD, compiled, folded

_WORD = compiled(rf"{CHARACTER}|{WORD}(?:'{WORD})*|[^\w\s]")


class Question(NamedTuple):
    """One question, and what each person who was asked it has answered."""

    name: str  # by which the data know it
    text: str
    image: str  # a key of the pictures
    answers: tuple[str, ...]  # normalised, one a person; at least one

    @property
    def words(self) -> list[str]:
        """Lower-case words and signs."""
        return _WORD.findall(folded(self.text))


class Pictures(Protocol):
    """Images by name, read when they are asked for."""

    kind: Literal["pixels", "regions"]

    @property
    def channels(self) -> int:
        """3, or F."""

    def __contains__(self, image: str) -> bool: ...

    def read(self, image: str) -> NDArray[Any]:
        """Pixels (3, height, width) uint8, or features (S, F) float32."""

    def boxes(self, image: str) -> list[Box] | None:
        """S boxes; None where regions are not found but cut from the pixels."""

    def shown(self, image: str) -> NDArray[Any] | None:
        """Pixels (height, width, 3) uint8 for people to look at; None where there are none."""

    def gold(self, image: str) -> Box | None:
        """The region that holds what all questions are about; None where that is not known."""

    def fingerprint(self) -> str:
        """A hash that changes with the images."""


class Questions(NamedTuple):
    """Questions in three parts that share no image."""

    name: str
    train: list[Question]
    dev: list[Question]
    test: list[Question]
    pictures: Pictures

    def fingerprint(self) -> str:
        """SHA-256 of every question of every part, in order, and of the images' own."""
        parts = (map(json.dumps, part) for part in (self.train, self.dev, self.test))
        return sha256_of_parts(self.pictures.fingerprint(), parts)
