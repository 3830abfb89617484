"""What can be asked of a trained run on sequence pairs: figures, posteriors, alignments, pictures.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.data.transduction import Corpus, Pair
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.decoding.predictive import Predictive
from hardpp.errors import DataError, UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.metrics import error_rates
from hardpp.tasks import catalogue
from hardpp.tasks.alignment import ordered_batches, vocabularies
from hardpp.tasks.task import Run
from hardpp.types import TransductionBatch

BATCH = 100  # pairs evaluated at once: wide enough to be quick, small enough for any vocabulary of sounds
END = "</s>"


def pairs_of(
    run: Run, data: str | None, part: str, limit: int | None, report: Callable[[str], None]
) -> list[Pair]:
    """The pairs a verb is asked about: a part of the run's own data, or of other data cut the same way.

    Raises:
        UsageError: the data do not exist.
        DataError: they cannot be read.
    """
    config = run.config.data
    if data is not None:
        if not Path(data).exists() and data not in catalogue.task(run.config.model).data:
            raise UsageError(f"there is no file or folder {data!r}")
        cut = {
            side: "words" if run.description[f"{side}_separator"] else "characters"
            for side in ("source", "target")
        }
        config = config.model_copy(
            update={
                "name": data,
                "source_tokens": cut["source"],
                "target_tokens": cut["target"],
                "train_limit": None,
            }
        )
    corpus: Corpus = catalogue.task(run.config.model).load(config, report)
    pairs = [*corpus.train, *corpus.dev, *corpus.test] if part == "all" else getattr(corpus, part)
    return pairs[:limit]


def predictive(run: Run) -> Predictive:
    """How the run's model predicts: "expected" if it was trained on expected alignments, else "marginal"."""
    return "expected" if run.config.objective == "soft" else "marginal"


def evaluate(run: Run, pairs: Sequence[Pair], beam: int = 1, keep: int | None = None) -> dict[str, Any]:
    """Error rates of the decoded symbols, and what the model and guide make of the right ones.

    Returns:
        PER and WER against the nearest reference; `nll`, -log p(target | source) as the run predicts it;
        `entropy` of the prior over positions; `kl`, KL(guide || exact posterior); all nats per symbol of the
        first reference, its end mark included; `seconds` of decoding per 1,000 pairs.
    """
    began = time.perf_counter()
    decoded = decode(run, pairs, beam, keep)
    seconds = time.perf_counter() - began
    rates = error_rates(decoded, [pair.references for pair in pairs])
    totals = dict.fromkeys(("symbols", "nll", "entropy", "kl"), 0.0)
    objective = catalogue.objective(
        "soft", run.config.inference.model_copy(update={"particles": 1, "baseline": "auto"})
    )
    predicted: SurrogateObjective = objective if predictive(run) == "expected" else ExactMarginal()
    for _, batch in batches(run, pairs):
        exact = _total(ExactMarginal(), run, batch)
        totals["nll"] -= _total(predicted, run, batch)
        totals["kl"] += exact - _total(EnumeratedELBO(), run, batch)
        totals["entropy"] += prior_entropy(run, batch)
        totals["symbols"] += float(batch.target_mask.sum())
    return {
        "PER": rates.symbol,
        "WER": rates.sequence,
        **{name: totals[name] / totals["symbols"] for name in ("nll", "entropy", "kl")},
        "pairs": len(pairs),
        "step": run.step,
        "seconds": 1000 * seconds / len(pairs),
    }


def decode(run: Run, pairs: Sequence[Pair], beam: int = 1, keep: int | None = None) -> list[list[str]]:
    """The most probable target of every source: greedy, or the best of a beam."""
    out: list[list[str]] = [[] for _ in pairs]
    _, vocabulary = vocabularies(run.description)
    model: Any = run.programs.model  # any program with `read`, `step` and `readout`
    for indices, batch in batches(run, pairs):
        options: dict[str, Any] = {
            "max_steps": 2 * max(run.description["longest_target"], batch.source.shape[1]) + 1,
            "predictive": predictive(run),
            "keep": keep,
        }
        with torch.no_grad():
            if beam == 1:
                best = greedy(model, batch.source, batch.source_mask, **options)
            else:
                hypotheses = beam_search(model, batch.source, batch.source_mask, width=beam, **options)
                best = [ranked[0].symbols for ranked in hypotheses]
        for index, symbols in zip(indices, best, strict=True):
            out[index] = vocabulary.decode(symbols)
    return out


def batches(run: Run, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], TransductionBatch]]:
    """All pairs by length, on the run's device, with the indices of each batch."""
    if not pairs:
        raise DataError("there are no pairs in this part of the data")
    for indices, batch in ordered_batches(pairs, run.description, BATCH):
        yield indices, batch.to(run.device)


@torch.no_grad()
def prior_entropy(run: Run, batch: TransductionBatch) -> float:
    """Entropy of p(position | source, symbols before), nats, summed over the batch's symbols."""
    site = poutine.trace(run.programs.model).get_trace(batch).nodes[sites.ALIGNMENT]
    entropy: Tensor = site["fn"].entropy()  # (B, T)
    return float((entropy * batch.target_mask).sum())


@torch.no_grad()
def _total(objective: SurrogateObjective, run: Run, batch: TransductionBatch) -> float:
    return float(objective.estimate(*run.programs, batch).bound.sum())
