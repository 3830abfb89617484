"""Alignment error rate (AER), precision and recall of word alignments against gold links.

With predicted links A, sure links S and possible links P (S among them):

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
    precision: float  # fraction of the predicted links that are possible; 1 if none were predicted
    recall: float  # fraction of the sure links that are predicted; 1 if there are none
    predicted: int  # links, over all pairs
    sure: int  # links, over all pairs


class HitRate(NamedTuple):
    """How often the best source position of a target word is right."""

    rate: float  # hits / words
    hits: int
    words: int  # target words that have a gold link


def alignment_errors(
    predicted: Sequence[Links], sure: Sequence[Links], possible: Sequence[Links] | None = None
) -> AlignmentErrors:
    """AER, precision and recall of all pairs' links.

    Possible links are not wrong, whether they are sure or not; if left out, they are the sure ones.

    Raises:
        ValueError: unequal numbers of pairs, or no predicted and no sure link.
    """
    if len(predicted) != len(sure) or (possible is not None and len(possible) != len(sure)):
        numbers = [len(part) for part in (predicted, sure, possible) if part is not None]
        raise ValueError(f"expected links of equally many pairs, got {numbers}")
    a = s = a_and_s = a_and_p = 0
    for row, (predicted_links, sure_links) in enumerate(zip(predicted, sure, strict=True)):
        A, S = set(predicted_links), set(sure_links)
        P = S | set(possible[row]) if possible is not None else S
        a, s = a + len(A), s + len(S)
        a_and_s, a_and_p = a_and_s + len(A & S), a_and_p + len(A & P)
    if not a + s:
        raise ValueError("expected at least one link, predicted or sure, got none")
    return AlignmentErrors(
        1 - (a_and_s + a_and_p) / (a + s), a_and_p / a if a else 1.0, a_and_s / s if s else 1.0, a, s
    )


def hit_rate(predicted: Sequence[Links], gold: Sequence[Links]) -> HitRate:
    """The fraction of target words with a gold link whose predicted link is a gold one.

    A pair has at most one predicted link a target word; a word without one is missed.

    Raises:
        ValueError: unequal numbers of pairs, a target word with two predicted links, or no gold link.
    """
    if len(predicted) != len(gold):
        raise ValueError(f"expected links of {len(gold)} pairs, got {len(predicted)}")
    hits = words = 0
    for row, (predicted_links, gold_links) in enumerate(zip(predicted, gold, strict=True)):
        best = {t: s for s, t in predicted_links}
        if len(best) < len(set(predicted_links)):
            raise ValueError(f"expected at most one predicted link a target word, got more in pair {row}")
        right = set(gold_links)
        linked = {t for _, t in right}
        words += len(linked)
        hits += sum((best[t], t) in right for t in linked if t in best)
    if not words:
        raise ValueError("expected at least one gold link, got none")
    return HitRate(hits / words, hits, words)
