"""The phone error rate after folding phones into classes.

Hypothesis and reference are folded (for TIMIT from 61 to 39 phones) before edits are counted; phones that
fold to None are removed from both.

Source: Lee and Hon (1989), Speaker-Independent Phone Recognition Using Hidden Markov Models.
"""

from collections.abc import Collection, Mapping, Sequence

from hardpp.metrics.error_rates import ErrorRates, error_rates


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
    return error_rates(
        [_folded(phones, folding, merged) for phones in hypotheses],
        [[_folded(phones, folding, merged)] for phones in references],
    )


def _folded(
    phones: Sequence[str], folding: Mapping[str, str | None], merged: Collection[str]
) -> tuple[str, ...]:
    folded: list[str] = []
    for phone in phones:
        label = folding.get(phone, phone)
        if label is not None and not (folded and label in merged and folded[-1] == label):
            folded.append(label)
    return tuple(folded)
