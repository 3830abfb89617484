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
    checked: Collection[str],
    max_length: int,
    on_bad: OnBad,
    report: Report,
) -> dict[str, list[TokenPair]]:
    """What is left of the parts out of which pairs that are too long are taken.

    Args:
        bitext: The pairs, with their places if they are a user's own.
        parts: Tokens of all parts.
        checked: Parts whose long pairs are bad lines, if their places are known.
        max_length: Symbols a side.
        on_bad, report: What happens to bad lines, and who is told.
    """
    bad: list[BadLine] = []
    lined = [name for name in bitext.places if name in checked]
    for name in lined:
        bad += long_lines(parts[name], bitext.places[name], max_length)
    names = dict.fromkeys(("train", *lined))
    short = {name: [pair for pair in parts[name] if length(pair) <= max_length] for name in names}
    left = 0 if "train" in lined else len(parts["train"]) - len(short["train"])
    lengths = {name: min(map(length, parts[name]), default=None) for name in names}
    refuse_long(bitext, lengths, bad, left, max_length, on_bad, report)
    return short


def refuse_long(
    bitext: Bitext,
    lengths: Mapping[str, int | None],
    bad: Sequence[BadLine],
    left: int,
    max_length: int,
    on_bad: OnBad,
    report: Report,
) -> None:
    """Refuse data of which a part has none but pairs that are too long, or tell how many were left out.

    Args:
        bitext: The pairs, with their places if they are a user's own.
        lengths: Symbols of the shortest pair of each part out of which long ones were left; None: no pair.
        bad: Those that are bad lines.
        left: How many others of train there were.
        max_length: Symbols a side.
        on_bad, report: As for `tokenize_bitext`.
    """
    report_bad(bad, on_bad, report, HINT)
    if left:
        noun = "pair" if left == 1 else "pairs"
        report(f"{left} training {noun} of more than {max_length} symbols left out")
    for name, shortest in lengths.items():
        if shortest is None or shortest > max_length:
            places = bitext.places.get(name)
            data = places[0][0].path if places else bitext.name
            least = "there is none" if shortest is None else f"the shortest has {shortest}"
            raise DataError(f"{data}: no {name} pair has at most {max_length} symbols a side: {least}", HINT)


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
    return max(len(pair.source), len(pair.target))
