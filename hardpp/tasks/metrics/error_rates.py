"""Token and sequence error rates against the nearest of several references, and of folded phones.

Phones of hypothesis and reference may be folded into classes before edits are counted (for TIMIT from 61 to
39); those that fold to None are removed from both.

Source: the scoring of grapheme-to-phoneme conversion since Yao and Zweig (2015): of several pronunciations
the nearest one counts; Lee and Hon (1989), Speaker-Independent Phone Recognition Using Hidden Markov Models,
for the folding.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
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

    Of these the one with the fewest edits counts, of equals the shortest. If all nearest references are
    empty, the symbol rate is 0 without edits and infinite otherwise.

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


def phone_error_rate(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    folding: Mapping[str, str | None],
    merged: Collection[str] = (),
) -> ErrorRates:
    """Error rates of one hypothesis an utterance against its reference, both folded.

    Args:
        hypotheses: the recognised phones of each utterance.
        references: the true phones.
        folding: phone -> class, or None to remove it. A phone that is not there is its own class.
        merged: classes of which several in a row count as one, such as "sil".

    Raises:
        ValueError: unequal numbers of utterances, or none.

    Example:
        >>> phone_error_rate([["sh", "ix", "q"]], [["sh", "ih"]], {"ix": "ih", "q": None}).edits
        0
    """

    def folded(phones: Sequence[str]) -> list[str]:
        labels = [label for phone in phones if (label := folding.get(phone, phone)) is not None]
        again = [label in merged and label == before for before, label in pairwise(["", *labels])]
        return [label for label, repeated in zip(labels, again, strict=True) if not repeated]

    return error_rates([folded(each) for each in hypotheses], [[folded(each)] for each in references])


def _nearest(row: int, item: tuple[Sequence[str], Sequence[Sequence[str]]]) -> tuple[int, int]:
    hypothesis, answers = item
    if not answers:
        raise ValueError(f"expected at least one reference an item, got none in item {row}")
    return min((Levenshtein.distance(hypothesis, answer), len(answer)) for answer in answers)
