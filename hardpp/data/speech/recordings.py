"""Recordings with what is said in them, before anything is computed from the sound.

Shapes: N samples.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from hardpp.data.digests import sha256_of_file
from hardpp.data.lines import Place
from hardpp.data.speech import audio
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

Sex = Literal["f", "m", ""]  # "" where unknown

OVERRUN = 0.025  # seconds that labels may run past the sound, which is a window of what is computed from it


class Sound(Protocol):
    """Sound that is read when it is asked for."""

    def read(self) -> Tensor:
        """(N,) float32 from -1 to 1, 16,000 a second."""

    def digest(self) -> str:
        """A hash that changes with the sound."""


class SoundFile(NamedTuple):
    """A sound file (`hardpp.data.speech.audio`)."""

    path: Path

    def read(self) -> Tensor:
        return audio.read(self.path)

    def digest(self) -> str:
        return sha256_of_file(self.path)


# Of a recording of hours with hundreds of stretches, once.
@lru_cache(maxsize=8)
def _digest(path: Path, changed: int) -> str:
    return sha256_of_file(path)


class SoundPart(NamedTuple):
    """A stretch of a sound file."""

    path: Path
    start: float  # seconds
    end: float  # seconds

    def read(self) -> Tensor:
        return audio.read(self.path, self.start, self.end)

    def digest(self) -> str:
        return f"{_digest(self.path, self.path.stat().st_mtime_ns)} {self.start} {self.end}"


class Recording(NamedTuple):
    """One utterance as it was recorded."""

    name: str  # unique in its corpus
    speaker: str
    sex: Sex
    sound: Sound
    segments: tuple[Segment, ...]  # one a token, or none where it is not known when they are said
    transcript: tuple[str, ...] = ()  # the tokens, where there are no segments
    head: audio.Sound | None = None  # of the sound as it lies there; None where nobody looked
    place: Place | None = None  # where its tokens stand, for messages; line 0 is a whole file

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that are said."""
        return tuple(segment.label for segment in self.segments) or self.transcript


def fit_to_sound(
    segments: Sequence[Segment],
    seconds: float,
    path: Path,
    silence: Collection[str],
    overrun: float = OVERRUN,
) -> tuple[Segment, ...]:
    """Let segments end with the sound: a small overrun is cut, a last silence is drawn out.

    Args:
        segments: In order, at least one.
        seconds: How long the sound lasts.
        path: The labels' file, for the message.
        silence: Labels that mean that nothing is said.
        overrun: How far the last label may run past the sound, in seconds; it must start in it.
    """
    *before, last = segments
    if last.end > seconds + overrun or last.start > seconds:
        raise DataError(
            f"{path}: the labels end at {last.end:.3f} s, and the sound at {seconds:.3f} s",
            "the labels are of another recording, or the sound was cut or has another sampling rate",
        )
    if last.end > seconds or last.label in silence:
        last = last._replace(end=seconds)
    return (*before, last)
