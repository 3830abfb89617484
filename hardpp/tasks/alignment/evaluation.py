"""What a run on sequence pairs decodes, where it attends, and figures of both.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.data.transduction.pairs import Pair
from hardpp.tasks.alignment.description import batches
from hardpp.tasks.answers.cut_outputs import cuts_told
from hardpp.tasks.answers.decoded import Hypothesis, in_place
from hardpp.tasks.answers.sharing import totalled
from hardpp.tasks.attention import exact_and_gap, weights_of_items
from hardpp.tasks.metrics.bleu import bleu
from hardpp.tasks.metrics.error_rates import error_rates
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import SequenceDecoding, best_sequences, best_texts, predictive
from hardpp.types import SequenceBatch

GREEDY = SequenceDecoding(beam=1)
_TOKENISED = ("words", "bpe")  # cut at blanks as the texts are, which were tokenised before: tok:none


def evaluate(run: OpenedRun, pairs: Sequence[Pair], options: SequenceDecoding) -> dict[str, Any]:
    """Quality of the decoded targets, and likelihoods, of pairs: see `AlignmentFamily.figures`."""
    found = outputs(run, pairs, options)
    cuts_told([output.cut for output in found], run.warn)
    decoded = [output.symbols for output in found]
    return {
        **quality(run, pairs, decoded),
        **likelihoods(run, pairs, options.keep),
        "pairs": len(pairs),
        "step": run.step,
    }


class Symbols(NamedTuple):
    """What is said of a source."""

    symbols: list[str]
    cut: int  # after so many symbols it was cut off, since it had not ended; 0: it ended


def outputs(run: OpenedRun, pairs: Sequence[Pair], options: SequenceDecoding = GREEDY) -> list[Symbols]:
    """The most probable target of every source: greedy, or the best of a beam."""
    _, vocabulary = run.description.vocabularies

    def said(_: Any, batch: SequenceBatch) -> list[Symbols]:
        usual = run.description.longest(batch.source.shape[1])
        best = best_sequences(run, batch, options, usual)
        return [Symbols(vocabulary.decode(output.symbols), output.cut) for output in best]

    return in_place(run.each(batches(run, pairs), said))


def decode(run: OpenedRun, pairs: Sequence[Pair], options: SequenceDecoding = GREEDY) -> list[list[str]]:
    """The symbols of `outputs`."""
    return [output.symbols for output in outputs(run, pairs, options)]


def hypotheses(
    run: OpenedRun, pairs: Sequence[Pair], options: SequenceDecoding, nbest: int
) -> list[tuple[Hypothesis, ...]]:
    """The most probable targets of every source, as texts, positions summed out."""
    _, vocabulary = run.description.vocabularies
    _, tokenizer = run.description.tokenizers

    def text(symbols: Sequence[int]) -> str:
        return tokenizer.detokenize(vocabulary.decode(symbols))

    def said(_: Any, batch: SequenceBatch) -> list[tuple[Hypothesis, ...]]:
        usual = run.description.longest(batch.source.shape[1])
        return best_texts(run, batch, options, usual, nbest, text, one_way=tokenizer.one_way)

    return in_place(run.each(batches(run, pairs), said))


def quality(run: OpenedRun, pairs: Sequence[Pair], decoded: Sequence[Sequence[str]]) -> dict[str, Any]:
    """PER and WER against the nearest reference; of sentences BLEU, of texts put together again."""
    _, tokenizer = run.description.tokenizers
    if tokenizer.sentences:
        references = [[tokenizer.detokenize(right) for right in pair.references] for pair in pairs]
        texts = [tokenizer.detokenize(tokens) for tokens in decoded]
        score, signature = bleu(texts, references, tokenized=tokenizer.kind in _TOKENISED)
        return {"BLEU": score, "signature": signature}
    rates = error_rates(decoded, [pair.references for pair in pairs])
    return {"PER": rates.symbol, "WER": rates.sequence}


def likelihoods(run: OpenedRun, pairs: Sequence[Pair], keep: int | None = None) -> dict[str, float]:
    """Nats per symbol of the targets, and perplexity, end marks included.

    `nll` is as the run predicts targets, from the `keep` likeliest source positions, or from all (None).
    """
    predict = None
    if run.objective.prediction == "expected" or keep is not None:
        predict = predictive(run, keep)

    def figures(_: Any, batch: SequenceBatch) -> dict[str, float]:
        exact, gap = exact_and_gap(run, batch)
        nll = -(exact if predict is None else float(predict(batch).sum()))
        entropy = _prior_entropy(run, batch)
        return {"symbols": float(batch.symbols), "nll": nll, "entropy": entropy, "kl": gap}

    totals = totalled(of_batch for _, of_batch in run.each(batches(run, pairs), figures))
    symbols = totals.pop("symbols")
    means = {name: total / symbols for name, total in totals.items()}
    return {"PPL": math.exp(min(means["nll"], 700.0)), **means}


def position_weights(run: OpenedRun, pairs: Sequence[Pair], view: str) -> list[Tensor]:
    """p(position) of every step of every pair under the prior, guide or posterior: (T, S) each."""
    return weights_of_items(run, batches(run, pairs), sites.ALIGNMENT, view)


# Entropy of p(position | source, symbols before), nats, summed over the batch's symbols: also of a chain,
# where it is not that of the weights, which average over the positions before.
@torch.no_grad()
def _prior_entropy(run: OpenedRun, batch: SequenceBatch) -> float:
    site = poutine.trace(run.programs.model).get_trace(batch).nodes[sites.ALIGNMENT]
    entropy: Tensor = site["fn"].entropy()  # (B, T)
    return float((entropy * batch.target_mask).sum())
