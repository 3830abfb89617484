"""Errors of word alignments against links made by hand.

With found links A, sure links S and possible links P (S among them):

    precision = |A & P| / |A|      recall = |A & S| / |S|
    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|)

Where every link is sure AER is 1 - F1. Counts are summed over all pairs before they are divided.

Source: Och and Ney (2003), A Systematic Comparison of Various Statistical Alignment Models, section 5.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

Links = Collection[tuple[int, int]]  # (source word, target word)


class AlignmentErrors(NamedTuple):
    """Errors of the links of a list of pairs; rates are fractions."""

    error: float  # AER
    precision: float  # of the found links, how many are right; 1 if none were found
    recall: float  # of the sure links, how many were found; 1 if there are none
    found: int  # links found, over all pairs
    sure: int  # sure links, over all pairs


class HitRate(NamedTuple):
    """How often the one best source position of a target word is right."""

    rate: float  # hits / words
    hits: int
    words: int  # target words that have a gold link


def alignment_errors(
    found: Sequence[Links], sure: Sequence[Links], possible: Sequence[Links] | None = None
) -> AlignmentErrors:
    """AER, precision and recall of all pairs' links.

    Args:
        found: One collection of links a pair.
        sure: The gold links of each pair.
        possible: Links that are not wrong, whether sure or not; left out, the sure ones alone.

    Raises:
        ValueError: Unequal numbers of pairs, or there is neither a found nor a sure link.
    """
    if len(found) != len(sure) or (possible is not None and len(possible) != len(sure)):
        numbers = [len(part) for part in (found, sure, possible) if part is not None]
        raise ValueError(f"expected links of equally many pairs, got {numbers}")
    a = s = a_and_s = a_and_p = 0
    for row, (found_here, sure_here) in enumerate(zip(found, sure, strict=True)):
        A, S = set(found_here), set(sure_here)
        P = S | set(possible[row]) if possible is not None else S
        a, s = a + len(A), s + len(S)
        a_and_s, a_and_p = a_and_s + len(A & S), a_and_p + len(A & P)
    if not a + s:
        raise ValueError("expected at least one link, found or sure, got none")
    return AlignmentErrors(
        1 - (a_and_s + a_and_p) / (a + s), a_and_p / a if a else 1.0, a_and_s / s if s else 1.0, a, s
    )


def hit_rate(found: Sequence[Links], gold: Sequence[Links]) -> HitRate:
    """How many of the target words with a gold link have their found link among the gold ones.

    Args:
        found: One collection of links a pair, at most one a target word; a word without one is missed.
        gold: The gold links of each pair.

    Raises:
        ValueError: Unequal numbers of pairs, a target word with two found links, or no gold link.
    """
    if len(found) != len(gold):
        raise ValueError(f"expected links of {len(gold)} pairs, got {len(found)}")
    hits = words = 0
    for row, (found_here, gold_here) in enumerate(zip(found, gold, strict=True)):
        best = {t: s for s, t in found_here}
        if len(best) < len(set(found_here)):
            raise ValueError(f"expected at most one found link a target word, got more in pair {row}")
        right = set(gold_here)
        linked = {t for _, t in right}
        words += len(linked)
        hits += sum((best[t], t) in right for t in linked if t in best)
    if not words:
        raise ValueError("expected at least one gold link, got none")
    return HitRate(hits / words, hits, words)
