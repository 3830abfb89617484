"""Items as the lines of a file: what is written has a line for each line that was read.

A pair that was left out, since a text is missing, too long or cannot be used, leaves None at its place.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hardpp.data.lines import read_lines
from hardpp.data.transduction import iwslt
from hardpp.data.transduction.pairs import Pair, PlacedPair
from hardpp.tasks.alignment.data import NAMES, PairData, is_single


def are_lines(config: PairData, part: str | None, *, parted: bool, pooled: bool) -> bool:
    """Are the pairs of a part the lines of a file, or of two, one after the other?

    Args:
        config: which data.
        part: of them; None: what is asked about unless a part is named.
        parted: is a single file split into parts, too?
        pooled: do pairs stand for all answers to their sources, which have a line each?
    """
    if config.name in NAMES:
        return False
    if is_single(config.name):
        return not parted and part in (None, "all")
    return part != "all" and not pooled and not iwslt.is_raw(Path(config.name))


def line_by_line(pairs: Sequence[Pair]) -> list[Pair | None]:
    """The pairs where they stand in their file, with None for each line that none comes from."""
    places = [pair.place for pair in pairs if isinstance(pair, PlacedPair) and pair.place is not None]
    numbers = [place.number for place in places]
    in_order = all(map(_follows, pairwise(numbers), pairwise(pairs)))
    if len(places) < len(pairs) or len({place.path for place in places}) != 1 or not in_order:
        return list(pairs)
    path, count = places[0].path, numbers[-1]
    if path.is_file():  # what comes through a pipe cannot be read twice
        count = max(count, len(read_lines(path, "lines")))
    lines: list[Pair | None] = [None] * count
    for number, pair in zip(numbers, pairs, strict=True):
        if lines[number - 1] is None:  # a line with several right answers is one pair here
            lines[number - 1] = pair
    return lines


# Does a pair stand in a later line than the one before, or is it another right answer in the same line?
def _follows(numbers: tuple[int, int], pairs: tuple[Pair, Pair]) -> bool:
    (before, after), (first, second) = numbers, pairs
    other = first.source == second.source and first.target != second.target
    return before < after or (before == after and other)
