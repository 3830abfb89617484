"""Token and sequence error rates against the nearest of several references.

Source: the scoring of grapheme-to-phoneme conversion since Yao and Zweig (2015): of several
pronunciations the nearest one counts.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein


class ErrorRates(NamedTuple):
    """Errors of a list of items; rates are fractions (the symbol rate may exceed 1)."""

    symbol: float  # edits / reference_symbols: the phoneme, character or word error rate
    sequence: float  # wrong / items
    edits: int  # insertions, deletions and substitutions, over all items
    reference_symbols: int  # length of the nearest references, over all items
    wrong: int  # items with at least one edit
    items: int


def error_rates(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> ErrorRates:
    """Error rates of one hypothesis an item against all of the item's references.

    Args:
        hypotheses: one token sequence an item.
        references: at least one an item; the one with the fewest edits counts, of equals the shortest.

    Returns:
        Rates and their counts. If all nearest references are empty, the symbol rate is 0 without edits and
        infinite otherwise.

    Raises:
        ValueError: no items, unequal numbers of items, or an item without a reference.

    Example:
        >>> error_rates([["k", "ae", "t"]], [[["k", "aa", "t"], ["k", "ae", "t", "s", "s"]]]).edits
        1
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"expected references for {len(hypotheses)} hypotheses, got {len(references)}")
    if not hypotheses:
        raise ValueError("expected at least one hypothesis, got none")
    nearest = [_nearest(*item) for item in enumerate(zip(hypotheses, references, strict=True))]
    edits = sum(item_edits for item_edits, _ in nearest)
    symbols = sum(length for _, length in nearest)
    wrong = sum(item_edits > 0 for item_edits, _ in nearest)
    rate = edits / symbols if symbols else (float("inf") if edits else 0.0)
    return ErrorRates(rate, wrong / len(nearest), edits, symbols, wrong, len(nearest))


def _nearest(row: int, item: tuple[Sequence[str], Sequence[Sequence[str]]]) -> tuple[int, int]:
    hypothesis, answers = item
    if not answers:
        raise ValueError(f"expected at least one reference an item, got none in item {row}")
    return min((Levenshtein.distance(hypothesis, answer), len(answer)) for answer in answers)
