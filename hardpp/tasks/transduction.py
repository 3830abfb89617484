"""What can be asked of a trained run on sequence pairs: figures, posteriors, alignments, pictures.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.config import DataConfig
from hardpp.data import tsv
from hardpp.data.batches import collate, encode, in_order
from hardpp.data.transduction import Corpus, Pair
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.decoding.predictive import Predictive
from hardpp.errors import DataError, UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.relaxed import SoftAttention
from hardpp.metrics.error_rates import error_rates
from hardpp.tasks.task import Run
from hardpp.types import TransductionBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

BATCH = 100  # pairs read at once: wide enough to be quick, narrow enough for large vocabularies
END = "</s>"


class SequencePairs:
    """The verbs of runs on sequence pairs; families of such models inherit them."""

    def load(self, config: DataConfig, report: Callable[[str], None]) -> Corpus:
        """Reads the pairs; each family knows its own data sets."""
        raise NotImplementedError

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> list[Pair]:
        """A part of the run's data, or of other data cut the same way.

        Args:
            run: the trained run.
            data: other data than the run's own.
            part: "train", "dev", "test" or "all"; left out, the test part, or all of a single other file.
            limit: only the first so many.
            report: told in a few words what is going on.

        Raises:
            DataError: the data cannot be read, or the part is empty.
        """
        config = run.config.data
        if data is not None:
            cut: Any = {
                f"{side}_tokens": "words" if run.description[f"{side}_separator"] else "characters"
                for side in ("source", "target")
            }
            if part is None and Path(data).is_file():
                return tsv.pairs(data, **cut)[:limit]
            config = config.model_copy(update={"name": data, "train_limit": None, **cut})
        corpus = self.load(config, report)
        if part == "all":
            return [*corpus.train, *corpus.dev, *corpus.test][:limit]
        return getattr(corpus, part or "test")[:limit]

    def label(self, description: Mapping[str, Any], batch: TransductionBatch, row: int) -> str:
        """The pair as text, without its end marks."""
        texts = []
        for side, vocabulary in zip(("source", "target"), vocabularies(description), strict=True):
            symbols = takewhile(lambda symbol: symbol != BOUNDARY, getattr(batch, side)[row].tolist())
            texts.append(description[f"{side}_separator"].join(vocabulary.decode(symbols)))
        return f"the pair {texts[0]!r} -> {texts[1]!r}"

    def batch(self, run: Run, pairs: Sequence[Pair]) -> TransductionBatch:
        """The pairs as one batch on the run's device.

        Raises:
            DataError: there are no pairs.
        """
        if not pairs:
            raise DataError("there are no pairs in this part of the data")
        return collate(encode(pairs, *vocabularies(run.description))).to(run.device)

    def evaluate(
        self, run: Run, pairs: Sequence[Pair], beam: int = 5, keep: int | None = None
    ) -> dict[str, Any]:
        """Error rates of the decoded symbols, and what the model and guide make of the right ones.

        Returns:
            PER and WER against the nearest reference; `nll`, -log p(target | source) as the run
            predicts it; `entropy` of the prior over positions; `kl`, KL(guide || exact posterior); all
            nats per symbol of the first reference, its end mark included; `seconds` of decoding per
            1,000 pairs.
        """
        began = time.perf_counter()
        decoded = decode(run, pairs, beam, keep)
        seconds = time.perf_counter() - began
        rates = error_rates(decoded, [pair.references for pair in pairs])
        totals = dict.fromkeys(("symbols", "nll", "entropy", "kl"), 0.0)
        for _, batch in batches(run, pairs):
            exact = _total(ExactMarginal(), run, batch)
            expected = predictive(run) == "expected"
            totals["nll"] -= _total(SoftAttention(), run, batch) if expected else exact
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

    def posterior(
        self, run: Run, pairs: Sequence[Pair], *, draws: int, exact: bool, seed: int
    ) -> "xr.DataTree":
        """Draws and marginals of the alignments, labelled with the pairs' tokens."""
        from hardpp.diagnostics.labels import Sentences
        from hardpp.diagnostics.posterior import sample_posterior

        names = _distinct([run.description["source_separator"].join(pair.source) for pair in pairs])
        sentences = Sentences(names, [positions(p) for p in pairs], [p.target for p in pairs], END)
        attributes = {key: getattr(run.config, key) for key in ("model", "guide", "objective")}
        return sample_posterior(
            *run.programs,
            batches(run, pairs),
            sentences,
            site=sites.ALIGNMENT,
            draws=draws,
            seed=seed,
            exact=exact,
            attributes={**attributes, "step": run.step, "training_seed": run.config.seed},
        )

    def alignments(self, run: Run, pairs: Sequence[Pair], which: str, style: str) -> Iterator[str]:
        """Lines of the best position of every target symbol, in the order of the pairs.

        Args:
            run: the trained run.
            pairs: what to align.
            which: whose alignment: "posterior" (exact), "guide", or "prior" (before the symbol is seen).
            style: "tsv" (with a header, probabilities and the end mark) or "pharaoh".
        """
        weights = position_weights(run, pairs, which)
        if style == "tsv":
            yield "\t".join(("pair", "step", "symbol", "position", "source", "probability"))
        for number, (pair, weight) in enumerate(zip(pairs, weights, strict=True)):
            probability, position = (part.tolist() for part in weight.max(-1))
            if style == "pharaoh":
                links = zip(position, range(len(pair.target)), strict=False)
                yield " ".join(f"{s}-{step}" for s, step in links if s < len(pair.source))
                continue
            for step, symbol in enumerate((*pair.target, END)):
                source = positions(pair)[position[step]]
                cells = (number, step, symbol, position[step], source, f"{probability[step]:.4f}")
                yield "\t".join(map(str, cells))

    def pictures(
        self, run: Run, pairs: Sequence[Pair], count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Heat maps of prior, guide and exact posterior, each with a name for its file.

        Args:
            run: the trained run.
            pairs: where to look for sources, and what is drawn if none are named.
            count: how many pairs, if none are named.
            sources: the texts of the sources to draw.

        Raises:
            UsageError: a named source is not among the pairs.
        """
        from hardpp.diagnostics.plots import alignment_figure

        separator = run.description["source_separator"]
        named = {separator.join(pair.source): pair for pair in reversed(pairs)}
        for source in sources:
            if source not in named:
                raise UsageError(f"{source!r} is not among these {len(pairs)} pairs")
        chosen = [named[source] for source in sources] or list(pairs[:count])
        panels = {which: position_weights(run, chosen, which) for which in ("prior", "guide", "posterior")}
        titles = [separator.join(pair.source) for pair in chosen]
        names = _distinct(["".join(c if c.isalnum() else "-" for c in title)[:40] for title in titles])
        for index, (pair, title) in enumerate(zip(chosen, titles, strict=True)):
            rows = [(which, weights[index].numpy()) for which, weights in panels.items()]
            yield names[index], alignment_figure(rows, positions(pair), (*pair.target, END), title=title)


def positions(pair: Pair) -> tuple[str, ...]:
    """What stands at every source position of a pair, the end mark last."""
    return (*pair.source, END)


def vocabularies(description: Mapping[str, Any]) -> tuple[Vocabulary, Vocabulary]:
    """Source and target vocabulary of a run's description."""
    source, target = (tuple(description[f"{side}_vocabulary"]) for side in ("source", "target"))
    return Vocabulary(source), Vocabulary(target)


def ordered_batches(
    pairs: Sequence[Pair], description: Mapping[str, Any], batch_size: int
) -> Iterator[tuple[list[int], TransductionBatch]]:
    """All pairs in batches of like length, each with the indices of its pairs."""
    items = encode(pairs, *vocabularies(description))
    for indices in in_order([len(item.source) for item in items], batch_size):
        yield indices, collate([items[index] for index in indices])


def batches(run: Run, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], TransductionBatch]]:
    """All pairs in batches on the run's device, with the indices of each batch.

    Raises:
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs in this part of the data")
    for indices, batch in ordered_batches(pairs, run.description, BATCH):
        yield indices, batch.to(run.device)


def predictive(run: Run) -> Predictive:
    """How the run's model predicts: "expected" if it was trained on expected alignments, else "marginal"."""
    return "expected" if run.config.objective == SoftAttention.name else "marginal"


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
        if beam == 1:
            best = greedy(model, batch.source, batch.source_mask, **options)
        else:
            ranked = beam_search(model, batch.source, batch.source_mask, width=beam, **options)
            best = [hypotheses[0].symbols for hypotheses in ranked]
        for index, symbols in zip(indices, best, strict=True):
            out[index] = vocabulary.decode(symbols)
    return out


def position_weights(run: Run, pairs: Sequence[Pair], which: str) -> list[Tensor]:
    """p(position) of every step of every pair under the prior, guide or posterior: (T, S) each."""
    from hardpp.diagnostics.draws import draw_alignments

    out: list[Tensor] = [torch.empty(0) for _ in pairs]
    for indices, batch in batches(run, pairs):
        known = draw_alignments(
            *run.programs, batch, site=sites.ALIGNMENT, draws=1, at_once=1, exact=which == "posterior"
        )
        weights: Any = {"prior": known.prior, "guide": known.guide, "posterior": known.exact}[which]
        for index, weight in zip(indices, weights.cpu(), strict=True):
            out[index] = weight[: len(pairs[index].target) + 1, : len(pairs[index].source) + 1]
    return out


@torch.no_grad()
def prior_entropy(run: Run, batch: TransductionBatch) -> float:
    """Entropy of p(position | source, symbols before), nats, summed over the batch's symbols."""
    site = poutine.trace(run.programs.model).get_trace(batch).nodes[sites.ALIGNMENT]
    entropy: Tensor = site["fn"].entropy()  # (B, T)
    return float((entropy * batch.target_mask).sum())


@torch.no_grad()
def _total(objective: SurrogateObjective, run: Run, batch: TransductionBatch) -> float:
    return float(objective.estimate(*run.programs, batch).bound.sum())


def _distinct(names: list[str]) -> list[str]:
    # The second "word" is called "word (2)".
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
