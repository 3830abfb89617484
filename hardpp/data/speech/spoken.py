"""What lists and labels of a user's own say of a recording, before its sound was looked at.

Shapes: none.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from hardpp.data.lines import OnBad, Place, Report, trimmed
from hardpp.data.named_files import is_file
from hardpp.data.speech import audio
from hardpp.data.speech.recordings import Recording, SoundFile, SoundPart, fit_to_sound
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

Units = Literal["words", "characters"]
Case = Literal["keep", "lower", "upper"]
Form = Literal["NFC", "NFD", "NFKC", "NFKD", "none"]

SOUND_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif", ".au", ".sph", ".caf")
_UNREAD = (
    ".m4a",
    ".aac",
    ".mp4",
    ".wma",
    ".webm",
    ".amr",
    ".3gp",
    ".ac3",
    ".ape",
    ".wv",
    ".mka",
    ".w64",
    ".voc",
)
BLANK = "\u2581"  # the token of a blank between words, where characters are tokens
_OVERRUN = 0.05  # seconds that labels may run past the sound
_OVERLAP = 1e-3  # seconds that two labels may overlap, by rounding
_CASES: dict[Case, Callable[[str], str]] = {"keep": str, "lower": str.lower, "upper": str.upper}


class Reading(NamedTuple):
    """How a user's own recordings are read."""

    units: Units = "words"  # what tokens are, where only text is known
    case: Case = "keep"
    normalise: Form = "none"
    tier: str = ""  # of a TextGrid; "": the one with the most labels
    on_bad: OnBad = "stop"
    report: Report = lambda text: None

    def tokens(self, text: str) -> tuple[str, ...]:
        """The tokens of a text: what stands between blanks, or characters with `BLANK` between words."""
        words = [word for part in self._folded(text).split() if (word := trimmed(part))]
        return tuple(words if self.units == "words" else BLANK.join(words))

    def labels(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Segments with their labels in the case and the form of Unicode that are asked for."""
        folded = (segment._replace(label=trimmed(self._folded(segment.label))) for segment in segments)
        return tuple(segment for segment in folded if segment.label)

    def _folded(self, text: str) -> str:
        text = _CASES[self.case](text)
        return text if self.normalise == "none" else unicodedata.normalize(self.normalise, text)


class Spoken(NamedTuple):
    """A recording by its list or labels."""

    name: str
    sound: Path
    place: Place  # of what is said
    tokens: tuple[str, ...]
    segments: tuple[Segment, ...] = ()  # one a token, or none
    speaker: str = ""
    start: float = 0.0  # seconds in the sound, where the recording is a stretch of it
    end: float | None = None

    def recording(self) -> Recording:
        """The recording, its sound looked at.

        Raises:
            DataError: the sound is not there, or damaged; times do not fit it.
            ValueError: there are no tokens, or no such stretch of the sound.
        """
        if not self.tokens:
            raise ValueError("no tokens")
        whole = audio.inspect(self.sound)
        if not 0 <= self.start < whole.seconds or (self.end is not None and self.end <= self.start):
            raise ValueError(f"{self.sound} lasts {whole.seconds:.3f} s: there is nothing at {self.start} s")
        if self.end is not None and self.end > whole.seconds + _OVERRUN:
            raise ValueError(f"{self.sound} lasts {whole.seconds:.3f} s, and the end is at {self.end} s")
        head, segments = whole.part(self.start, self.end), self.segments
        if segments:
            segments = fit_to_sound(segments, head.seconds, self.place.path, (), _OVERRUN)
        stretch = self.start > 0 or self.end is not None
        end = self.start + head.seconds
        sound = SoundPart(self.sound, self.start, end) if stretch else SoundFile(self.sound)
        transcript = () if segments else self.tokens
        return Recording(self.name, self.speaker, "", sound, segments, transcript, head, self.place)


def seconds_of(text: str) -> float:
    """A time in seconds, from 0; a ValueError says what is wrong with it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is no time in seconds")
    return value


def in_order(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments one after the other, cut where they overlap by rounding; a ValueError if not in order."""
    result: list[Segment] = []
    for segment in segments:
        before = result[-1].end if result else 0.0
        if segment.start < before - _OVERLAP or segment.end < segment.start:
            raise ValueError(f"times run backwards at {segment.label!r}, from {segment.start:.3f} s")
        start = max(segment.start, before)
        result.append(Segment(start, max(segment.end, start), segment.label))
    return tuple(result)


def sounds_in(folder: Path) -> Iterator[Path]:
    """Sound files in a folder and those below it, by how their names end, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SOUND_ENDINGS and path.is_file() and not path.name.startswith("."):
            yield path


def unread_in(folder: Path) -> list[Path]:
    """Files in a folder and those below it whose names end as those of sounds that are not read, sorted."""
    files = sorted(folder.rglob("*"))
    return [path for path in files if path.suffix.lower() in _UNREAD and path.is_file()]


def listed_sound(folder: Path, name: str, within: Sequence[str]) -> Path:
    """The sound that a list in a folder names: by its path from there, else in the first of some folders.

    Args:
        folder: In which the list lies.
        name: The path, or what the sound is called, perhaps without the ending.
        within: Names of folders in it that may be there.

    Raises:
        DataError: There is no such sound.
    """
    if is_file(path := folder / name):
        return path
    found = [place for each in within if (place := folder / each).is_dir()]
    return sound_named(found[0] if found else folder, name)


@lru_cache(maxsize=4)
def _sounds_below(folder: Path, changed: int) -> tuple[Path, ...]:
    return tuple(sounds_in(folder))


def sound_named(folder: Path, stem: str) -> Path:
    """The sound file in a folder with a name without its ending, or the one below it.

    Raises:
        DataError: there is none, or there are several below.
    """
    endings = ("", *SOUND_ENDINGS, *(ending.upper() for ending in SOUND_ENDINGS))
    for path in (folder / f"{stem}{ending}" for ending in endings):
        if is_file(path):
            return path
    if (
        len(
            below := [
                path
                for path in _sounds_below(folder, folder.stat().st_mtime_ns)
                if stem in (path.stem, path.name)
            ]
        )
        == 1
    ):
        return below[0]
    raise DataError(f"{folder / stem}: there is no such sound file", f"endings: {', '.join(SOUND_ENDINGS)}")
