"""Figures of a run on questions about images: how right its answers are, and where it looks.

Shapes: B images, T questions of an image, S regions, V answers.
"""

import time
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hardpp import sites
from hardpp.config import Section
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.weights.particles import particle_trace
from hardpp.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.family import Run
from hardpp.tasks.question_answering.data import Chosen, batches, half_apart, inside, region_boxes
from hardpp.types import QuestionBatch


class AnswerChoice(Section):
    """How the answer to a question is chosen."""

    keep: int | None = Field(None, ge=1, description="regions read out (K-max); left out: all")


class Looks(NamedTuple):
    """Where the questions of a batch look: weights over regions, (B, T, S) each."""

    prior: Tensor  # p(region | image, question)
    guide: Tensor  # q(region | image, question, answer)
    posterior: Tensor  # p(region | image, question, answer), by enumeration


@torch.no_grad()
def answer_log_probs(run: Run, batch: QuestionBatch, keep: int | None = None) -> Tensor:
    """log p(answer | image, question) as the run predicts it, (B, T, V) in nats.

    Regions are summed out; a run that was trained on expected regions reads the expected region.

    Args:
        run: the trained run.
        batch: its answers are not read.
        keep: only the so many likeliest regions of each question count, with p(region) renormalised.
    """
    model: Any = run.programs.model  # any program with `read` and `readout`
    memory, query, scores = model.read(batch)
    if keep is not None and keep < scores.shape[-1]:
        kept = scores.topk(keep, -1).indices
        scores = torch.full_like(scores, -torch.inf).scatter(-1, kept, scores.gather(-1, kept))
    if run.config.objective == SoftAttention.name:
        logits: Tensor = model.readout(scores.softmax(-1) @ memory, query)
        return logits.log_softmax(-1)
    emission = model.readout(memory.unsqueeze(-3), query.unsqueeze(-2)).log_softmax(-1)  # (B, T, S, V)
    return torch.logsumexp(scores.log_softmax(-1).unsqueeze(-1) + emission, -2)


@torch.no_grad()
def looks(run: Run, batch: QuestionBatch) -> Looks:
    """Where the model looks before the answer, the guide, and the model once the answer is known.

    Where the answer is no class there is nothing to know: guide and posterior are the prior there.
    """
    model: Any = run.programs.model
    prior = model.read(batch).scores.softmax(-1)
    shape = prior.shape
    known = batch.target_mask.unsqueeze(-1)
    trace = particle_trace(run.programs.guide, 1, 2, (batch,), {})
    guide = trace.nodes[sites.REGION]["fn"].probs.reshape(-1, *shape)[0]
    posterior = ExactMarginal().posterior(*run.programs, batch)[sites.REGION]
    return Looks(prior, torch.where(known, guide, prior), torch.where(known, posterior, prior))


def figures(run: Run, chosen: Chosen, how: AnswerChoice) -> dict[str, Any]:
    """What the run makes of questions.

    Returns:
        `accuracy`, mean over questions, against all people's answers. Over questions whose likeliest
        answer is a class, `nll`, its -log p as the run predicts it (all regions counted); `entropy` of
        the prior over regions; `kl`, KL(guide || exact posterior); nats per question. `unknown`, the
        share of questions of which no person's answer is a class. Where it is known what a question is
        about: `hit_prior`, `hit_guide` and `hit_posterior`, how often the middle of the likeliest
        region lies in its box, give or take half the distance between regions; `middle_prior`, the same
        without that tolerance; `mass`, the prior probability of regions that hit; and `coverage`, their
        share of all regions, which is the hit rate of a guess. `questions`, the run's `step`, and
        `seconds` of answering 1,000 questions.
    """
    answers = run.description["answers"]
    right, seconds = 0.0, 0.0
    totals = dict.fromkeys(("answered", "nll", "entropy", "kl"), 0.0)
    boxed = dict.fromkeys(
        ("about", *(f"hit_{name}" for name in Looks._fields), "middle_prior", "mass", "coverage"), 0.0
    )
    for rows, batch in batches(run, chosen):
        began = time.perf_counter()
        predicted = answer_log_probs(run, batch, how.keep)  # (B, T, V)
        best = predicted.argmax(-1).tolist()
        seconds += time.perf_counter() - began
        everywhere = predicted if how.keep is None else answer_log_probs(run, batch)
        likelihood = everywhere.gather(-1, batch.target.unsqueeze(-1)).squeeze(-1)  # (B, T)
        seen = looks(run, batch)
        entropy = -torch.special.xlogy(seen.prior, seen.prior).sum(-1)
        totals["answered"] += float(batch.symbols)
        totals["nll"] -= float(likelihood[batch.target_mask].sum())
        totals["entropy"] += float(entropy[batch.target_mask].sum())
        totals["kl"] += _kl(run, batch)
        attended = {
            name: weights.argmax(-1).tolist() for name, weights in zip(Looks._fields, seen, strict=True)
        }
        for row, one in enumerate(rows):
            for column, place in enumerate(one.questions):
                right += vqa_accuracy(answers[best[row][column]], chosen.questions[place].answers)
            gold = chosen.pictures.gold(one.image)
            if gold is None:
                continue
            boxes, tolerance = region_boxes(run, chosen.pictures, one.image), half_apart(run.config)
            within = [inside(box, gold, tolerance) for box in boxes]
            mass = seen.prior[row].cpu()[:, torch.tensor(within).nonzero().squeeze(-1)].sum(-1)  # (T,)
            for column in range(len(one.questions)):
                boxed["about"] += 1
                for name, region in attended.items():
                    boxed[f"hit_{name}"] += within[region[row][column]]
                boxed["middle_prior"] += inside(boxes[attended["prior"][row][column]], gold)
                boxed["mass"] += float(mass[column])
                boxed["coverage"] += sum(within) / len(within)
    count, answered, about = len(chosen.questions), totals.pop("answered"), boxed.pop("about")
    return {
        "accuracy": right / count,
        **{name: total / answered if answered else None for name, total in totals.items()},
        **{name: total / about for name, total in boxed.items() if about},
        "unknown": 1 - answered / count,
        "questions": count,
        "step": run.step,
        "seconds": 1000 * seconds / count,
    }


@torch.no_grad()
def _kl(run: Run, batch: QuestionBatch) -> float:
    exact, bound = (
        objective.estimate(*run.programs, batch).bound.sum()
        for objective in (ExactMarginal(), EnumeratedELBO())
    )
    return float(exact - bound)
