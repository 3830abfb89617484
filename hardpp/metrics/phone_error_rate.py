"""The phone error rate, over fewer kinds of phones than are recognised.

Hypothesis and reference are folded (to 39 phones, for TIMIT's 61) before edits are counted, and phones that
fold to None are left out of both.

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
        hypotheses: Phones of each utterance.
        references: The same, as they were said.
        folding: Phone -> what it counts as, None: nothing. A phone that is not there counts as itself.
        merged: Folded phones of which several in a row count as one, such as "sil".

    Raises:
        ValueError: Unequal numbers of utterances, or none.

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
    result: list[str] = []
    for phone in phones:
        label = folding.get(phone, phone)
        if label is not None and not (result and label in merged and result[-1] == label):
            result.append(label)
    return tuple(result)
