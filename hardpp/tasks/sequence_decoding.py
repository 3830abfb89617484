"""How runs whose targets are sequences search for the best ones, and how probable these are.

Shapes: B data.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.data.batches import pad
from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sums.likeliest_values import LikeliestValues
from hardpp.tasks.answers.decoded import Hypothesis, ranked
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

TOLERANCE = 1e-7  # of the positions' probability that a search may leave out: less than float32 tells from 1
ALLOWANCE = 10  # symbols that a target may be longer: short sources turn into targets of any ratio


class SequenceDecoding(Section):
    """How the best target of a source is searched for."""

    beam: int = Field(5, ge=1, le=10_000, description="hypotheses kept; 1 is greedy")
    keep: int | None = Field(
        None, ge=1, description="source positions read out (K-max); left out: all that matter"
    )
    length_penalty: float = Field(
        0.0, ge=0, le=10, description="divides log p by ((5 + length) / 6) ** penalty (GNMT); 0: no"
    )
    max_length: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="symbols after which an output is cut off; left out: half as many again as in training, "
        "more for longer sources",
    )

    def most_steps(self, usual: int) -> int:
        """After how many symbols, the end mark included, an output is cut off; `usual` if nothing is said."""
        return usual if self.max_length is None else self.max_length


class Output(NamedTuple):
    """An output that a search found."""

    symbols: list[int]  # without the end mark
    cut: int  # after so many symbols it, or a likelier one, was cut off, since it had not ended; else 0


def best_sequences(
    run: OpenedRun, batch: SequenceBatch, options: SequenceDecoding, usual: int
) -> list[Output]:
    """The most probable target of every source in a batch, as the run's objective predicts.

    Args:
        run: an opened run.
        batch: B sources.
        options: how to search.
        usual: after how many symbols, the end mark included, an output is cut off, unless options say so.
    """
    return [found[0] for found in _search(run, batch, options, options.most_steps(usual), options.beam)]


def best_texts(
    run: OpenedRun,
    batch: SequenceBatch,
    options: SequenceDecoding,
    usual: int,
    nbest: int,
    text: Callable[[Sequence[int]], str],
    *,
    one_way: bool = True,
) -> list[tuple[Hypothesis, ...]]:
    """The `nbest` most probable texts of every source in a batch, alignments summed out.

    A beam finds targets, at least as wide as so many need; each is then given the probability that the run
    predicts it with, and those of one text are made one. One text alone is that of `best_sequences`; several
    are in the order of their probabilities, whatever `length_penalty` says.

    Args:
        run, batch, options, usual: as for `best_sequences`.
        nbest: how many.
        text: of the symbols of a target.
        one_way: is there one sequence of symbols to a text? If not its probability is of those found.
    """
    width = options.beam if nbest == 1 else max(options.beam, nbest if one_way else 2 * nbest)
    found = _search(run, batch, options, options.most_steps(usual), width)
    if nbest == 1:
        found = [targets[:1] for targets in found]
    exact = one_way and options.keep is None
    symbols = [[target.symbols for target in targets] for targets in found]
    scores = log_probs(run, batch, symbols, options.keep)
    return [
        ranked(
            (
                Hypothesis(text(target.symbols), value, exact, target.cut)
                for target, value in zip(targets, values, strict=True)
            ),
            nbest,
        )
        for targets, values in zip(found, scores, strict=True)
    ]


def log_probs(
    run: OpenedRun, batch: SequenceBatch, targets: Sequence[Sequence[Sequence[int]]], keep: int | None = None
) -> list[list[float]]:
    """log p(target | source) of some targets, without end marks, of each source of a batch, in nats."""
    predict = predictive(run, keep)
    flat = [(row, target) for row, of_source in enumerate(targets) for target in of_source]
    values: list[float] = []
    for start in range(0, len(flat), batch.size):  # no larger than the batch, for memory
        rows, chosen = zip(*flat[start : start + batch.size], strict=True)
        where = torch.tensor(rows, device=batch.source.device)
        target, mask = (part.to(where.device) for part in pad(chosen))
        asked = SequenceBatch(batch.source[where], batch.source_mask[where], target, mask)
        values += predict(asked).tolist()
    each = iter(values)
    return [[next(each) for _ in of_source] for of_source in targets]


def predictive(run: OpenedRun, keep: int | None = None) -> Callable[[SequenceBatch], Tensor]:
    """What gives log p(target | source) as a run predicts it, (B,) in nats, of a batch.

    Alignments are summed out, all or (with `keep`) the so many likeliest positions of each step; a run that
    was trained on expected positions reads the expected one.
    """
    model, guide = run.programs
    nesting: Any = model.max_plate_nesting  # which a truncated program no longer tells
    kind = SoftAttention if run.objective.prediction == "expected" else ExactMarginal
    objective = kind(max_plate_nesting=nesting)
    program = model if keep is None else LikeliestValues(keep)(model)

    @torch.no_grad()
    def predict(batch: SequenceBatch) -> Tensor:
        return objective.estimate(program, guide, batch).bound

    return predict


# The best targets of every source in a batch, the best first; one of each if the width is 1.
def _search(
    run: OpenedRun, batch: SequenceBatch, options: SequenceDecoding, max_steps: int, width: int
) -> list[list[Output]]:
    model: Any = run.programs.model  # any program with `read`, `step` and `readout`
    how: Any = {"max_steps": max_steps, "prediction": run.objective.prediction, "keep": options.keep}
    how["tolerance"] = TOLERANCE
    if width == 1:
        found = greedy(model, batch.source, batch.source_mask, **how)
        # With an end mark there would have been fewer.
        return [[Output(symbols, max_steps if len(symbols) == max_steps else 0)] for symbols in found]
    how |= {"width": width, "length_penalty": options.length_penalty}
    searched = beam_search(model, batch.source, batch.source_mask, **how)
    return [
        [Output(one.symbols, max_steps if one.stopped else 0) for one in hypotheses]
        for hypotheses in searched
    ]
