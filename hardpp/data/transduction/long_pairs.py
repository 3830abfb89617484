"""Pairs of more symbols than a side may have: bad lines, or left out and told of."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from hardpp.data.lines import BadLine, OnBad, Place, Report, report_bad
from hardpp.data.transduction.pairs import Bitext
from hardpp.errors import DataError

HINT = "raise data.max_length, or train with --on-bad skip, which leaves such pairs out"


class TokenPair(NamedTuple):
    """The tokens of a pair of texts."""

    source: tuple[str, ...]
    target: tuple[str, ...]


def without_long(
    bitext: Bitext,
    parts: Mapping[str, list[TokenPair]],
    max_length: int,
    on_bad: OnBad,
    report: Report,
) -> dict[str, list[TokenPair]]:
    """What is left of the parts out of which pairs that are too long are taken.

    Args:
        bitext: With the places of pairs in those parts whose long pairs are bad lines.
        parts: Tokens of all parts.
        max_length: Symbols a side.
        on_bad, report: What happens to bad lines, and who is told.
    """
    bad: list[BadLine] = []
    for name, places in bitext.places.items():
        bad += long_lines(parts[name], places, max_length)
    names = dict.fromkeys(("train", *bitext.places))
    short = {name: [pair for pair in parts[name] if length(pair) <= max_length] for name in names}
    left = 0 if "train" in bitext.places else len(parts["train"]) - len(short["train"])
    sizes = {name: len(part) for name, part in short.items()}
    refuse_long(bitext.name, sizes, names, bad, left, max_length, on_bad, report)
    return short


def refuse_long(
    data: str,
    sizes: Mapping[str, int],
    names: Collection[str],
    bad: Sequence[BadLine],
    left: int,
    max_length: int,
    on_bad: OnBad,
    report: Report,
) -> None:
    """Refuse data of whose parts pairs are too long, or tell how many were left out.

    Args:
        data: What they are called.
        sizes: How many pairs are left of each part.
        names: Of the parts out of which they were left.
        bad: Those that are bad lines.
        left: How many others of train there were.
        max_length: Symbols a side.
        on_bad, report: As for `tokenize_bitext`.
    """
    report_bad(bad, on_bad, report, HINT)
    if left:
        noun = "pair" if left == 1 else "pairs"
        report(f"{left} training {noun} of more than {max_length} symbols left out")
    for name in names:
        if not sizes[name]:
            raise DataError(f"{data}: no {name} pair has at most {max_length} symbols a side", HINT)


def long_lines(
    sides: Sequence[TokenPair], places: Sequence[tuple[Place, Place]], max_length: int
) -> list[BadLine]:
    """What is wrong with the pairs that are too long, of those that stand at some places."""
    found = (too_long(pair, place, max_length) for pair, place in zip(sides, places, strict=True))
    return [bad for bad in found if bad is not None]


def too_long(pair: TokenPair, places: tuple[Place, Place], max_length: int) -> BadLine | None:
    """What is wrong with a pair that stands there, if either side has more symbols than it may."""
    for side, symbols, place in zip(TokenPair._fields, pair, places, strict=True):
        if len(symbols) > max_length:
            return BadLine(*place, f"{side} of {len(symbols)} symbols, data.max_length is {max_length}")
    return None


def length(pair: TokenPair) -> int:
    """Symbols of the longer side."""
    return max(map(len, pair))
