"""BLEU of translations, by sacreBLEU, with the signature that makes figures comparable.

Sources: Papineni et al. (2002), BLEU; Post (2018), A Call for Clarity in Reporting BLEU Scores.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hardpp.errors import UsageError


class Bleu(NamedTuple):
    """BLEU of a list of translations."""

    score: float  # 0 to 100
    signature: str  # of sacreBLEU: version, tokenizer, case, smoothing, number of references


def bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, tokenized: bool = False, order: int = 4
) -> Bleu:
    """BLEU of one translation an item against its references.

    Args:
        hypotheses: texts.
        references: an item's right translations, at least one.
        tokenized: are the texts tokenised (words separated by blanks)? Otherwise sacreBLEU's 13a does it.
        order: the longest n-grams that count, as in BLEU-1 to BLEU-4.

    Raises:
        UsageError: sacrebleu is not installed.
        ValueError: no items, unequal numbers of items, or an item without a reference.
    """
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(f"{len(hypotheses)} translations cannot be held against {len(references)} items")
    if not all(references):
        raise ValueError("expected at least one reference an item")
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise UsageError("BLEU needs sacrebleu", "pip install 'hardpp[text]'") from error
    # sacreBLEU takes a list of all first references, one of all second ones, ...; None if an item has fewer.
    most = max(map(len, references))
    streams: Any = [[item[n] if n < len(item) else None for item in references] for n in range(most)]
    # force: no warning about tokenised texts.
    metric = BLEU(tokenize="none" if tokenized else "13a", force=True, max_ngram_order=order)
    # Two decimals are published; the rest is the noise of a sum of logarithms.
    score = round(metric.corpus_score(list(hypotheses), streams).score, 2)
    return Bleu(score, str(metric.get_signature()))
