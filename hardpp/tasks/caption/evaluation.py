"""Figures of a run on captions: what it says of images, and which region it attends to for each word.

Shapes: B sentences, T words (the end mark included), S regions.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from hardpp import sites
from hardpp.tasks.answers.cut_outputs import cuts_told
from hardpp.tasks.answers.decoded import Hypothesis, in_place
from hardpp.tasks.answers.sharing import totalled
from hardpp.tasks.attention import (
    attention,
    attention_weights,
    centre_inside,
    exact_and_gap,
    total_entropy,
    weights_of_items,
)
from hardpp.tasks.caption.data import CaptionItems, batches, region_boxes
from hardpp.tasks.image_regions import likeliest_regions, mean_figures, region_hits
from hardpp.tasks.metrics.bleu import bleu
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import SequenceDecoding, best_sequences, best_texts, predictive
from hardpp.types import SequenceBatch


def evaluate(run: OpenedRun, items: CaptionItems, options: SequenceDecoding) -> dict[str, Any]:
    """What the run makes of images and of their first references: see `CaptionFamily.figures`.

    `hit_prior` and the like are there where it is known which region a word is about.
    """
    said = outputs(run, items, options)
    cuts_told([one.cut for one in said], run.warn)
    decoded = [" ".join(one.words) for one in said]
    right = references(items)
    scores = [bleu(decoded, right, tokenized=True, order=order) for order in (1, 2, 3, 4)]
    count = len(decoded)
    return {
        **{f"BLEU{order}": score.score for order, score in enumerate(scores, start=1)},
        "same": sum(text in of_image for text, of_image in zip(decoded, right, strict=True)) / count,
        **likelihoods(run, items),
        **mean_figures(_hits(run, items)),
        "images": count,
        "step": run.step,
        "signature": scores[-1].signature,
    }


class Said(NamedTuple):
    """A sentence about an image."""

    words: list[str]
    cut: int  # after so many words it was cut off, since it had not ended; 0: it ended


def outputs(run: OpenedRun, items: CaptionItems, options: SequenceDecoding) -> list[Said]:
    """The most probable sentence about each image: greedy, or the best of a beam."""
    usual, vocabulary = run.description.most_steps, run.description.vocabulary

    def said(_: Any, batch: SequenceBatch) -> list[Said]:
        best = best_sequences(run, batch, options, usual)
        return [Said(vocabulary.decode(output.symbols), output.cut) for output in best]

    return in_place(run.each(batches(run, items), said))


def decode(run: OpenedRun, items: CaptionItems, options: SequenceDecoding) -> list[list[str]]:
    """The words of `outputs`."""
    return [said.words for said in outputs(run, items, options)]


def references(items: CaptionItems) -> list[list[str]]:
    """Every right sentence about each image, as texts."""
    captions = [items.part.captions[sentence.image] for sentence in items.sentences]
    return [[" ".join(caption.words) for caption in of_image] for of_image in captions]


def hypotheses(
    run: OpenedRun, items: CaptionItems, options: SequenceDecoding, nbest: int
) -> list[tuple[Hypothesis, ...]]:
    """The most probable sentences about each image, regions summed out."""
    usual = run.description.most_steps

    def text(symbols: Sequence[int]) -> str:
        return " ".join(run.description.vocabulary.decode(symbols))

    def said(_: Any, batch: SequenceBatch) -> list[tuple[Hypothesis, ...]]:
        return best_texts(run, batch, options, usual, nbest, text)

    return in_place(run.each(batches(run, items), said))


def likelihoods(run: OpenedRun, items: CaptionItems) -> dict[str, float]:
    """`nll` as the run predicts it, `entropy` and `kl`: nats per word of the first references."""

    def figures(_: Any, batch: SequenceBatch) -> dict[str, float]:
        exact, gap = exact_and_gap(run, batch)
        expected = run.objective.prediction == "expected"
        nll = -(float(predictive(run)(batch).sum()) if expected else exact)
        prior = attention_weights(run, batch, sites.REGION, "prior")
        entropy = total_entropy(prior, batch.target_mask)
        return {"words": float(batch.symbols), "nll": nll, "entropy": entropy, "kl": gap}

    totals = totalled(of_batch for _, of_batch in run.each(batches(run, items), figures))
    words = totals.pop("words")
    return {name: total / words for name, total in totals.items()}


def word_weights(run: OpenedRun, items: CaptionItems, view: str) -> list[Tensor]:
    """p(region) of every word of every sentence under the prior, guide or posterior: (T, S) each."""
    return weights_of_items(run, batches(run, items), sites.REGION, view)


# Figures of every word of which it is known what it is about.
def _hits(run: OpenedRun, items: CaptionItems) -> Iterator[dict[str, float]]:
    boxes = region_boxes(run)

    def hits(indices: Sequence[int], batch: SequenceBatch) -> list[dict[str, float]]:
        golds = [items.sentences[index].caption.gold or {} for index in indices]
        if not any(golds):
            return []
        likeliest, found = likeliest_regions(attention(run, batch, sites.REGION)), []
        for row, gold in enumerate(golds):
            for step, box in gold.items():
                inside = [centre_inside(region, box, edges=True) for region in boxes]
                of_word = region_hits(likeliest, row, step, inside)
                found.append({**of_word, "guess": sum(inside) / len(inside)})
        return found

    for _, of_batch in run.each(batches(run, items), hits):
        yield from of_batch
