"""Pairs that are read one by one, of files that may be too large to be held in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.transduction.pairs import Line

# What reads the files of a part, one after the other.
Readers = Sequence[Callable[[], Iterator[Line]]]


class Unstreamable(Exception):
    """These pairs can only be read all at once."""


class StreamedPairs(NamedTuple):
    """How the pairs of some data are read one by one."""

    name: str
    parts: Mapping[str, Readers]  # by part; by "" if one list is split by itself
    split: Callable[[Line], str]  # the part of a line of that list
    whole: Path  # that list, for messages
    hint: str  # how its parts can be chosen instead
    sentences: bool = True  # as of `Bitext`
    features: str = ""
