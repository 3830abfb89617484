"""Figures of a run on sequence pairs: of what it decodes, and of what its programs make of the right targets.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from hardpp.data.transduction.pairs import Pair
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sums.likeliest_values import LikeliestValues
from hardpp.metrics.bleu import bleu
from hardpp.metrics.error_rates import error_rates
from hardpp.tasks.alignment.attention import prior_entropy
from hardpp.tasks.alignment.batching import batches, tokenizers
from hardpp.tasks.alignment.decoding import decode
from hardpp.tasks.family import Run
from hardpp.tasks.sequence_decoding import SequenceDecoding, predictive
from hardpp.types import Program, SequenceBatch

_TOKENISED = ("words", "bpe")  # cut at blanks as the texts are, which were tokenised before


def figures(run: Run, pairs: Sequence[Pair], how: SequenceDecoding) -> dict[str, Any]:
    """Quality of the decoded targets, and likelihoods, of a list of pairs.

    Returns:
        of `quality`, of `likelihoods`; `pairs`; the run's `step`; `seconds` of decoding per 1,000 pairs.
    """
    began = time.perf_counter()
    decoded = decode(run, pairs, how)
    seconds = time.perf_counter() - began
    return {
        **quality(run, pairs, decoded),
        **likelihoods(run, pairs, how.keep),
        "pairs": len(pairs),
        "step": run.step,
        "seconds": 1000 * seconds / len(pairs),
    }


def quality(run: Run, pairs: Sequence[Pair], decoded: Sequence[Sequence[str]]) -> dict[str, Any]:
    """PER and WER against the nearest reference; of sentences BLEU, of texts put together again.

    sacreBLEU parts words and marks (tok:13a) but for texts that were tokenised before (tok:none).
    """
    _, tokenizer = tokenizers(run.description)
    if tokenizer.sentences:
        references = [[tokenizer.detokenize(right) for right in pair.references] for pair in pairs]
        texts = [tokenizer.detokenize(tokens) for tokens in decoded]
        score, signature = bleu(texts, references, tokenized=tokenizer.kind in _TOKENISED)
        return {"BLEU": score, "signature": signature}
    rates = error_rates(decoded, [pair.references for pair in pairs])
    return {"PER": rates.symbol, "WER": rates.sequence}


def likelihoods(run: Run, pairs: Sequence[Pair], keep: int | None = None) -> dict[str, float]:
    """Nats per symbol of the targets, end marks included.

    Args:
        run: the trained run.
        pairs: sources and targets.
        keep: predict from the so many likeliest source positions alone; None for all.

    Returns:
        `nll`, -log p(target | source) as the run predicts it; `PPL`, its exponential; `entropy` of the prior
        over positions; `kl`, KL(guide || exact posterior).
    """
    totals = dict.fromkeys(("symbols", "nll", "entropy", "kl"), 0.0)
    nesting: Any = run.programs.model.max_plate_nesting  # which a truncated program no longer tells
    for _, batch in batches(run, pairs):
        exact = _total(ExactMarginal(), *run.programs, batch)
        if predictive(run) == "expected" or keep is not None:
            kind = SoftAttention if predictive(run) == "expected" else ExactMarginal
            predicted = kind(max_plate_nesting=nesting)
            truncated = run.programs.model if keep is None else LikeliestValues(keep)(run.programs.model)
            totals["nll"] -= _total(predicted, truncated, run.programs.guide, batch)
        else:
            totals["nll"] -= exact
        totals["kl"] += exact - _total(EnumeratedELBO(), *run.programs, batch)
        totals["entropy"] += prior_entropy(run, batch)
        totals["symbols"] += float(batch.symbols)
    symbols = totals.pop("symbols")
    means = {name: total / symbols for name, total in totals.items()}
    return {"PPL": math.exp(min(means["nll"], 700.0)), **means}


@torch.no_grad()
def _total(objective: SurrogateObjective, model: Program, guide: Program, batch: SequenceBatch) -> float:
    return float(objective.estimate(model, guide, batch).bound.sum())
