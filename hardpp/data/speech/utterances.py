"""Utterances: frames of speech, their tokens and, where known, the times of these.

Token n is said from `segments[n].start` to `segments[n].end`. What lies between two segments belongs to no
token. Where times are unknown there are no segments. Frame s stands for the time from s times
`frame_seconds` up to (s + 1) times that.

Shapes: S frames, F features.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from hardpp.data.digests import sha256_of_parts, sha256_of_tensors
from hardpp.data.lines import Place


class Segment(NamedTuple):
    """A stretch of time, and the token that is said in it."""

    start: float  # seconds
    end: float  # seconds, at least `start`
    label: str


class Frames(Protocol):
    """Frames that are computed, or read from a file, when `read` is called."""

    def __len__(self) -> int:
        """S, known without reading."""

    def read(self) -> Tensor:
        """(S, F) float32, on the CPU."""

    def digest(self) -> str:
        """A hash (hex) that changes with the frames."""


class Normalisation(NamedTuple):
    """Mean and deviation of every feature over the frames of the train part."""

    mean: Tensor  # (F,) float32
    deviation: Tensor  # (F,) float32, above 0

    def __call__(self, frames: Tensor) -> Tensor:
        """Normalise frames (..., F) to mean 0 and variance 1."""
        return (frames - self.mean) / self.deviation


class Utterance(NamedTuple):
    """One recording."""

    name: str  # unique in its corpus
    speaker: str  # "" where unknown
    frames: Tensor | Frames  # (S, F) float32, or what reads them
    segments: tuple[Segment, ...]  # one a token, in order, or none
    tokens: tuple[str, ...]
    place: Place | None = None  # where its tokens stand, for messages; line 0 is a whole file

    @property
    def length(self) -> int:
        """S."""
        return len(self.frames)

    def read(self) -> Tensor:
        """The frames (S, F), float32."""
        return self.frames if isinstance(self.frames, Tensor) else self.frames.read()

    @property
    def where(self) -> str:
        """How a message calls it: FILE:LINE, FILE or its name."""
        if self.place is None:
            return f"utterance {self.name}"
        return f"{self.place.path}:{self.place.number}" if self.place.number else f"{self.place.path}"


class SpeechCorpus(NamedTuple):
    """Three lists of utterances, and how their tokens are scored."""

    name: str
    train: list[Utterance]
    dev: list[Utterance]
    test: list[Utterance]
    frame_seconds: float  # from one frame to the next
    folding: Mapping[str, str | None] = {}  # token -> what it counts as when scored, None: not at all
    normalisation: Normalisation | None = None  # what the frames went through, before frames were stacked
    rate: int | None = None  # the lowest of the train part's sounds, samples a second; None: not known

    def fingerprint(self) -> str:
        """SHA-256 of all utterances in order and of the folding."""
        head = json.dumps([self.frame_seconds, sorted(self.folding.items())])
        return sha256_of_parts(head, (map(_described, part) for part in (self.train, self.dev, self.test)))


def _described(utterance: Utterance) -> str:
    said = json.dumps([utterance.name, utterance.speaker, utterance.segments, utterance.tokens])
    frames = utterance.frames
    return f"{said}\n{sha256_of_tensors(frames) if isinstance(frames, Tensor) else frames.digest()}"
