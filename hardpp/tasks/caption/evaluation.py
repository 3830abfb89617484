"""Figures of a run on captions: what it says of images, and where it looks for each word.

Shapes: B sentences, T words (the end mark included), S regions.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp import sites
from hardpp.data.images.rasters import Box
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.soft_attention import SoftAttention
from hardpp.metrics.bleu import bleu
from hardpp.tasks.caption.data import Chosen, batches, boxes, vocabulary
from hardpp.tasks.family import Run
from hardpp.tasks.sequence_decoding import ALLOWANCE, SequenceDecoding, predictive
from hardpp.types import SequenceBatch


class Looks(NamedTuple):
    """Where the words of a batch look: weights over regions, (B, T, S) each."""

    prior: Tensor  # p(region | image, words before)
    guide: Tensor  # q(region | image, words)
    posterior: Tensor  # p(region | image, words), by enumeration


def figures(run: Run, chosen: Chosen, how: SequenceDecoding) -> dict[str, Any]:
    """What the run makes of images and of their first references.

    Returns:
        `BLEU1` to `BLEU4` of the sentences it says, against all references, with the `signature` of the
        last, and `same`, how often it says one of them word by word; `nll` of the first reference, nats per
        word as the run predicts it, the end mark included, `entropy` of the prior over regions and `kl` of
        the guide to the exact posterior, likewise. Where it is known which region a word is about:
        `hit_prior`, `hit_guide` and `hit_posterior`, how often the middle of the likeliest region lies in the
        word's box, and `guess`, the share of regions whose middle does. `images`, the run's `step`, and
        `seconds` of saying 1,000 sentences.
    """
    began = time.perf_counter()
    said = [" ".join(words) for words in describe_images(run, chosen, how)]
    seconds = time.perf_counter() - began
    references = [
        [" ".join(caption.words) for caption in chosen.part.captions[one.image]] for one in chosen.sentences
    ]
    scores = [bleu(said, references, tokenized=True, order=order) for order in (1, 2, 3, 4)]
    count = len(said)
    return {
        **{f"BLEU{order}": score.score for order, score in enumerate(scores, start=1)},
        "same": sum(text in right for text, right in zip(said, references, strict=True)) / count,
        **likelihoods(run, chosen),
        **hits(run, chosen),
        "images": count,
        "step": run.step,
        "seconds": 1000 * seconds / count,
        "signature": scores[-1].signature,
    }


def describe_images(run: Run, chosen: Chosen, how: SequenceDecoding) -> list[list[str]]:
    """The most probable sentence about each image: greedy, or the best of a beam."""
    known, model = vocabulary(run.description), run.programs.model
    out: list[list[str]] = [[] for _ in chosen.sentences]
    options: dict[str, Any] = {
        "max_steps": int(1.5 * run.description["longest"]) + ALLOWANCE,
        "prediction": predictive(run),
        "keep": how.keep,
    }
    for rows, batch in batches(run, chosen):
        given: Any = (model, batch.source, batch.source_mask)
        if how.beam == 1:
            best = greedy(*given, **options)
        else:
            ranked = beam_search(*given, width=how.beam, length_penalty=how.length_penalty, **options)
            best = [hypotheses[0].symbols for hypotheses in ranked]
        for row, symbols in zip(rows, best, strict=True):
            out[row] = known.decode(symbols)
    return out


@torch.no_grad()
def likelihoods(run: Run, chosen: Chosen) -> dict[str, float]:
    """`nll`, `entropy` and `kl`, nats per word."""
    totals = dict.fromkeys(("words", "nll", "entropy", "kl"), 0.0)
    predicted: Any = SoftAttention() if run.config.objective == SoftAttention.name else ExactMarginal()
    for _, batch in batches(run, chosen):
        exact, bound, mine = (
            float(objective.estimate(*run.programs, batch).bound.sum())
            for objective in (ExactMarginal(), EnumeratedELBO(), predicted)
        )
        prior = looks(run, batch).prior
        entropy = -torch.special.xlogy(prior, prior).sum(-1)
        totals["words"] += float(batch.symbols)
        totals["nll"] -= mine
        totals["kl"] += exact - bound
        totals["entropy"] += float(entropy[batch.target_mask].sum())
    words = totals.pop("words")
    return {name: total / words for name, total in totals.items()}


def hits(run: Run, chosen: Chosen) -> dict[str, float]:
    """How often words that are about something look at it; nothing where none is known to be."""
    found = boxes(run.config, run.description)
    right, about = dict.fromkeys((*Looks._fields, "guess"), 0.0), 0
    for rows, batch in batches(run, chosen):
        golds = [chosen.sentences[row].caption.gold or {} for row in rows]
        if not any(golds):
            continue
        best = {name: weights.argmax(-1).tolist() for name, weights in looks(run, batch)._asdict().items()}
        for place, gold in enumerate(golds):
            for word, box in gold.items():
                within = [middle_in(region, box) for region in found]
                about += 1
                right["guess"] += sum(within) / len(within)
                for name, regions in best.items():
                    right[name] += within[regions[place][word]]
    named = {"guess": "guess", **{name: f"hit_{name}" for name in Looks._fields}}
    return {named[name]: value / about for name, value in right.items()} if about else {}


@torch.no_grad()
def looks(run: Run, batch: SequenceBatch) -> Looks:
    """Where the words of a batch look, before they are known, and once they are."""
    from hardpp.diagnostics.draws import draw_alignments

    known: Any = draw_alignments(*run.programs, batch, site=sites.REGION, draws=1, at_once=1, exact=True)
    return Looks(known.prior, known.guide, known.exact)


def word_weights(run: Run, chosen: Chosen, which: str) -> list[Tensor]:
    """p(region) of every word of every sentence under the prior, guide or posterior: (T, S) each."""
    out = [torch.empty(0)] * len(chosen.sentences)
    for rows, batch in batches(run, chosen):
        weights = getattr(looks(run, batch), which).cpu()
        for place, row in enumerate(rows):
            out[row] = weights[place, : len(chosen.sentences[row].caption.words) + 1]
    return out


def middle_in(region: Box, box: Sequence[float]) -> bool:
    """Does the middle of a region lie in a box?"""
    x, y = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]
