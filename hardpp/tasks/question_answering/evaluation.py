"""Figures of a run on questions about images: how right its answers are, and which regions it attends to.

Shapes: B images, T questions of an image, S regions, V answers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp import sites
from hardpp.config import Section
from hardpp.data.questions.batches import Asked
from hardpp.tasks.answers.decoded import in_place
from hardpp.tasks.answers.sharing import totalled
from hardpp.tasks.attention import Attention, attention, centre_inside, exact_and_gap, total_entropy
from hardpp.tasks.image_regions import likeliest_regions, mean_figures, region_hits
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.question_answering.data import QuestionItems, batches, cells, region_boxes
from hardpp.types import QuestionBatch


class AnswerChoice(Section):
    """How the answer to a question is chosen."""

    keep: int | None = Field(None, ge=1, description="regions read out (K-max); left out: all")


@torch.no_grad()
def answer_log_probs(run: OpenedRun, batch: QuestionBatch, keep: int | None = None) -> Tensor:
    """log p(answer | image, question) as the run predicts it, (B, T, V) in nats.

    Regions are summed out; a run that was trained on expected regions reads the expected region. With `keep`
    only the so many likeliest regions of each question count, and p(region) is renormalised.
    """
    model: Any = run.programs.model  # any program with `read` and `readout`
    memory, query, scores = model.read(batch)
    values = model.readout.values(memory)
    if keep is not None and keep < scores.shape[-1]:
        likeliest = scores.topk(keep, -1).indices
        scores = torch.full_like(scores, -torch.inf).scatter(-1, likeliest, scores.gather(-1, likeliest))
    if run.objective.prediction == "expected":
        logits: Tensor = model.readout.logits(scores.softmax(-1) @ values, query)
        return logits.log_softmax(-1)
    emission = model.readout.logits(values.unsqueeze(-3), query.unsqueeze(-2)).log_softmax(-1)  # (B, T, S, V)
    return torch.logsumexp(scores.log_softmax(-1).unsqueeze(-1) + emission, -2)


@torch.no_grad()
def question_attention(run: OpenedRun, batch: QuestionBatch) -> Attention:
    """Weights over regions before the answer is seen, of the guide, and once the answer is known.

    Where the answer is no class there is nothing to know: guide and posterior are the prior there.
    """
    model: Any = run.programs.model
    prior = model.read(batch).scores.softmax(-1)
    answered = batch.target_mask.unsqueeze(-1)
    _, *informed = attention(run, batch, sites.REGION)
    return Attention(prior, *(torch.where(answered, weights, prior) for weights in informed))


def region_weights(run: OpenedRun, items: QuestionItems) -> list[Attention]:
    """Weights over the S regions of its image for every question, (S) each, on the host."""

    def of_batch(asked: Sequence[Asked], batch: QuestionBatch) -> list[Attention]:
        views = [view.cpu() for view in question_attention(run, batch)]
        sizes = batch.source_mask.sum(-1).tolist()
        of_cells = ((row, column, sizes[row]) for row, column, _ in cells(asked))
        return [Attention(*(view[row, column, :size] for view in views)) for row, column, size in of_cells]

    found = run.each(batches(run, items), of_batch)
    return in_place(([index for _, _, index in cells(asked)], weights) for asked, weights in found)


def answer_rows(run: OpenedRun, items: QuestionItems, options: AnswerChoice) -> Iterator[tuple[int, Tensor]]:
    """log p(answer) of every question, (V,) in nats, each with its index; image by image."""

    def of_batch(_: Any, batch: QuestionBatch) -> Tensor:
        return answer_log_probs(run, batch, options.keep).cpu()

    for asked, log_p in run.each(batches(run, items), of_batch):
        for row, column, index in cells(asked):
            yield index, log_p[row, column]


def evaluate(run: OpenedRun, items: QuestionItems, options: AnswerChoice) -> dict[str, Any]:
    """What the run makes of questions: see `QuestionAnsweringFamily.figures`.

    `nll`, `entropy` and `kl` are of questions whose likeliest answer is a class, with all regions counted;
    `hit_prior` to `coverage` are there where it is known what a question is about.
    """
    answers, count = run.description.answers, len(items.questions)

    def of_batch(asked: Sequence[Asked], batch: QuestionBatch) -> tuple[Any, ...]:
        predicted = answer_log_probs(run, batch, options.keep)  # (B, T, V)
        best = predicted.argmax(-1).tolist()
        right = [
            vqa_accuracy(answers[best[row][column]], items.questions[index].answers)
            for row, column, index in cells(asked)
        ]
        complete = predicted if options.keep is None else answer_log_probs(run, batch)
        likelihood = complete.gather(-1, batch.target.unsqueeze(-1)).squeeze(-1)  # (B, T)
        weights = question_attention(run, batch)
        figures = {
            "answered": float(batch.symbols),
            "nll": -float(likelihood[batch.target_mask].sum()),
            "entropy": total_entropy(weights.prior, batch.target_mask),
            "kl": torch.tensor(exact_and_gap(run, batch)[1]).item(),  # in the precision of the bounds
        }
        return right, figures, list(_hits(run, items, asked, weights))

    found = [of_one for _, of_one in run.each(batches(run, items), of_batch)]
    totals = totalled(figures for _, figures, _ in found)
    answered, hits = totals.pop("answered"), [hit for _, _, of_one in found for hit in of_one]
    return {
        "accuracy": sum(share for right, _, _ in found for share in right) / count,
        **{name: total / answered if answered else None for name, total in totals.items()},
        **mean_figures(hits),
        "unknown": 1 - answered / count,
        "questions": count,
        "step": run.step,
    }


# Figures of every question of which it is known what it is about.
def _hits(
    run: OpenedRun, items: QuestionItems, asked: Sequence[Asked], weights: Attention
) -> Iterator[dict[str, float]]:
    likeliest = likeliest_regions(weights)
    tolerance = 2 ** len(run.network.kernels) / 2  # pixels; half of what lies between neighbouring regions
    for row, (image, questions) in enumerate(asked):
        gold = items.pictures.gold(image)
        if gold is None:
            continue
        boxes = region_boxes(run, items.pictures, image)
        inside = [centre_inside(box, gold, tolerance) for box in boxes]
        mass = weights.prior[row].cpu()[:, torch.tensor(inside).nonzero().squeeze(-1)].sum(-1)  # (T,)
        for column in range(len(questions)):
            yield {
                **region_hits(likeliest, row, column, inside),
                "middle_prior": centre_inside(boxes[likeliest["prior"][row][column]], gold),
                "mass": float(mass[column]),
                "coverage": sum(inside) / len(inside),
            }
