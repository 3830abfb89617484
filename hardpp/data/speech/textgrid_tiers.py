"""TextGrid files read: the long and the short form, in UTF-8 or UTF-16, tiers of intervals and of points.

What counts in either form are numbers, quoted texts and flags in angle brackets that stand by themselves; all
else, such as `xmin =` or `intervals [1]:`, is for people. In quoted texts "" is one quotation mark.

Source: Boersma and Weenink, Praat: doing phonetics by computer, its manual on TextGrid file formats.
"""

import re
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

# Quoted texts, flags, comments; then words, of which numbers alone count.
_PART = re.compile(r'"([^"]*(?:""[^"]*)*)"|(<\w+>)|![^\n]*|([^\s"<!]+)')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


class Tier(NamedTuple):
    """One tier: its labels with their times."""

    name: str
    points: bool  # a label at a time; a segment ends there, and starts where the one before it does
    segments: tuple[Segment, ...]  # without empty labels


def is_textgrid(text: str) -> bool:
    """Whether a text says that it is a TextGrid."""
    head = text[:200]
    return '"ooTextFile' in head and '"TextGrid"' in head


def read_tiers(text: str, path: Path) -> list[Tier]:
    """The tiers of a TextGrid's text, in order; a DataError names file and line where it makes no sense."""
    parts = _Parts(text, path)
    parts.quoted(), parts.quoted()  # that it is a text file of Praat, and a TextGrid
    parts.number(), parts.number()
    parts.flag()
    return [_tier(parts) for _ in range(parts.count())]


def choose_tier(files: Sequence[Sequence[Tier]], wanted: str, example: Path) -> str:
    """The tier that tokens are taken from, in all files: the one asked for, or that with the most labels.

    Args:
        files: The tiers of each file.
        wanted: A name, or "".
        example: One of the files, for the message.
    """
    counts: dict[str, int] = {}
    for tiers in files:
        for tier in tiers:
            # Points are taken where there are no intervals.
            counts[tier.name] = counts.get(tier.name, 0) + len(tier.segments) * (1 if tier.points else 1000)
    if not wanted and counts:
        return max(counts, key=lambda name: counts[name])
    if wanted not in counts:
        raise DataError(f"{example}: there is no tier {wanted!r}", f"data.tier: {', '.join(counts)}")
    return wanted


def _tier(parts: "_Parts") -> Tier:
    kind, name = parts.quoted(), parts.quoted()
    if kind not in ("IntervalTier", "TextTier"):
        raise parts.error(f"no tier of kind {kind!r} is known")
    parts.number(), parts.number()
    segments, before = [], 0.0
    for _ in range(parts.count()):
        start = parts.number()
        end = parts.number() if kind == "IntervalTier" else start
        start = before if kind == "TextTier" else start
        label, before = parts.quoted().strip(), end
        if end < start:
            raise parts.error(f"times run backwards at {label!r}")
        if label:
            segments.append(Segment(max(0.0, start), max(0.0, end), label))
    return Tier(name, kind == "TextTier", tuple(segments))


class _Parts:
    # The parts of a text that count, one after the other.
    def __init__(self, text: str, path: Path):
        self.text, self.path, self.at = text, path, 0
        self.found = self._all()

    def _all(self) -> Iterator[tuple[str, str]]:
        for match in _PART.finditer(self.text):
            self.at = match.start()
            quoted, flag, word = match.groups()
            if quoted is not None:
                yield "text", quoted.replace('""', '"')
            elif flag is not None:
                yield "flag", flag
            elif word is not None and _NUMBER.fullmatch(word):
                yield "number", word

    def _next(self, kind: str) -> str:
        found, value = next(self.found, ("end", ""))
        if found != kind:
            what = "it ends" if found == "end" else f"there is {value[:40]!r}"
            raise self.error(f"a {kind} is wanted where {what}")
        return value

    def quoted(self) -> str:
        return self._next("text")

    def flag(self) -> str:
        return self._next("flag")

    def number(self) -> float:
        value = float(self._next("number"))
        if not isfinite(value):
            raise self.error("a number is too large")
        return value

    def count(self) -> int:
        return int(self.number())

    def error(self, what: str) -> DataError:
        line = self.text.count("\n", 0, self.at) + 1
        return DataError(f"{self.path}:{line}: damaged TextGrid: {what}")
