"""Posteriors over alignments: labels of sentences and of questions, and what draws of theirs become.

A sentence aligns every step with a source position:

    posterior             alignment (chain, draw, sentence, step), -1 where padded
    sample_stats          also log_p and log_q (chain, draw, sentence), and log_weight_step (chain, draw,
                          sentence, step) where steps are independent
    attention             prior, guide, marginal, exact (sentence, step, source)
    log_likelihood        target (chain, sentence)
    posterior_predictive  target (chain, draw, sentence, step), each symbol given the true ones before it
    observed_data         target (sentence, step), -1 where padded
    constant_data         source_length, target_length (sentence); source_mask, step_mask

and a question aligns itself with a region of its image:

    posterior             region (chain, draw, question)
    attention             prior, guide, marginal, exact (question, region)
    log_likelihood        answer (chain, question), NaN where the answer is no class
    posterior_predictive  answer (chain, draw, question)
    observed_data         answer (question), the number of the class
    constant_data         region_mask (question, region); left, top, right, bottom (question, region), pixels

The rest is as in `hardpp.diagnostics.posterior`.

Sentences carry their names, steps and sources their tokens (`target_token`, `source_token`), and questions
their names, texts, images and answers. Floats are NaN where padded, so that averages skip padding.

Shapes: K draws, N sentences or questions, B sentences or images of a batch, T steps (the end mark included)
or questions of an image, S source positions or regions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.diagnostics.posterior import (
    DRAW,
    NATS,
    PIXELS,
    PROBABILITY,
    Array,
    Variables,
    join_batches,
    log_likelihood,
    text_labels,
)
from hardpp.diagnostics.trust import weight_statistics
from hardpp.errors import UsageError

FILL = -1  # in integer arrays, where there is no step
Boxes = Sequence[tuple[float, float, float, float]]
Cells = Iterable[tuple[int, int, int]]  # row and column in a batch, and index among the N, of questions


class Sentences(NamedTuple):
    """What sentences are called and made of: a label for every axis of an array."""

    @property
    def datum(self) -> str:
        return "sentence"

    names: Sequence[str]  # N, all different
    sources: Sequence[Sequence[str]]  # N token sequences, a label for every position
    targets: Sequence[Sequence[str]]  # N token sequences, without an end mark
    end: str = "</s>"  # stands for the last step of every target

    def coordinates(self) -> dict[str, xr.Variable]:
        targets = [[*tokens, self.end] for tokens in self.targets]
        return {
            **text_labels("sentence", sentence=self.names),
            "target_token": xr.Variable(("sentence", "step"), _tokens(targets)),
            "source_token": xr.Variable(("sentence", "source"), _tokens(self.sources)),
        }

    def groups(self, rows: Sequence[Sequence[int]], draws: Sequence[AlignmentDraws]) -> dict[str, Variables]:
        self._check(rows, draws)
        source_mask = _mask([len(tokens) for tokens in self.sources])  # (N, S)
        step_mask = _mask([len(tokens) + 1 for tokens in self.targets])  # (N, T)
        every, cells = np.ones(len(step_mask), dtype=bool), step_mask[:, :, None] & source_mask[:, None, :]

        def join(name: str, mask: Array, fill: float = np.nan) -> Array:
            return join_batches(rows, [getattr(part, name) for part in draws], mask, fill)

        by_draw, by_step, by_source = (*DRAW, "sentence"), ("sentence", "step"), ("sentence", "source")
        fill = {"fill": FILL}
        log_p, log_q = join("log_p", every), join("log_q", every)  # (K, N)
        alignment = join("alignment", step_mask, FILL).astype(np.int32)
        exact = draws[0].exact is not None
        statistics = weight_statistics(log_p - log_q, alignment, "sentence", exact=exact)
        statistics["log_p"] = xr.Variable(by_draw, log_p[None], NATS)
        statistics["log_q"] = xr.Variable(by_draw, log_q[None], NATS)
        if stepwise := draws[0].log_weight_step is not None:
            log_weight = join("log_weight_step", step_mask)  # (K, N, T)
            statistics["log_weight_step"] = xr.Variable((*by_draw, "step"), log_weight[None], NATS)
        attention = {
            view: xr.Variable((*by_step, "source"), join(view, cells), PROBABILITY) for view in draws[0].views
        }
        attention["marginal"].attrs["weights"] = "per step" if stepwise else "per sentence"
        attention["guide"].attrs["from"] = "the draws" if draws[0].guide_drawn else "its distribution"
        known = join("log_marginal", every) if exact else None
        target = join("target", step_mask, FILL).astype(np.int32)
        predicted = {}
        if draws[0].replicated is not None:
            anew = join("replicated", step_mask, FILL).astype(np.int32)
            predicted["target"] = xr.Variable((*by_draw, "step"), anew[None], fill)
        return {
            "posterior": {"alignment": xr.Variable((*by_draw, "step"), alignment[None], fill)},
            "sample_stats": statistics,
            "attention": attention,
            "log_likelihood": {"target": log_likelihood("sentence", known, log_p - log_q)},
            "posterior_predictive": predicted,
            "observed_data": {"target": xr.Variable(by_step, target, fill)},
            "constant_data": {
                "source_length": xr.Variable("sentence", source_mask.sum(-1)),
                "target_length": xr.Variable("sentence", step_mask.sum(-1)),
                "source_mask": xr.Variable(by_source, source_mask),
                "step_mask": xr.Variable(by_step, step_mask),
            },
        }

    def _check(self, rows: Sequence[Sequence[int]], draws: Sequence[AlignmentDraws]) -> None:
        given = (len(self.names), len(self.sources), len(self.targets))
        if len(set(given)) != 1 or not self.names:
            raise ValueError(f"expected as many names as sources and targets, and at least 1, got {given}")
        for name, count in Counter(self.names).items():
            if count > 1:
                raise ValueError(f"sentences need names of their own, but {name!r} occurs more than once")
        for batch_rows, part in zip(rows, draws, strict=True):
            lengths = (mask.sum(-1).tolist() for mask in (part.source_mask, part.target_mask))
            self._check_batch(batch_rows, [*zip(*lengths, strict=True)])
        counts = Counter(row for batch_rows in rows for row in batch_rows)
        for row, name in enumerate(self.names):
            if counts[row] != 1:
                raise ValueError(f"every sentence belongs in one batch, but {name!r} is in {counts[row]}")

    def _check_batch(self, rows: Sequence[int], lengths: Sequence[tuple[int, int]]) -> None:
        if len(rows) != len(lengths):
            raise ValueError(f"expected a sentence for each of {len(lengths)} rows, got {len(rows)}")
        for row, length in zip(rows, lengths, strict=True):
            if not 0 <= row < len(self.names):
                raise ValueError(f"expected sentences 0 to {len(self.names) - 1}, got {row}")
            expected = (len(self.sources[row]), len(self.targets[row]) + 1)
            if length != expected:
                raise ValueError(
                    f"sentence {self.names[row]!r} has {expected} source tokens and steps, its batch {length}"
                )


class Questions(NamedTuple):
    """What questions are called, and where their images' regions are."""

    @property
    def datum(self) -> str:
        return "question"

    names: Sequence[str]  # N, all different
    texts: Sequence[str]
    images: Sequence[str]
    answers: Sequence[str]
    boxes: Sequence[Boxes]  # S boxes each: left, top, right, bottom

    def coordinates(self) -> dict[str, xr.Variable]:
        return text_labels(
            "question", question=self.names, text=self.texts, image=self.images, given=self.answers
        )

    def groups(self, cells: Sequence[Cells], draws: Sequence[AlignmentDraws]) -> dict[str, Variables]:
        if any(part.log_weight_step is None for part in draws):
            raise UsageError("questions that depend on one another have no weights of their own")
        sides = np.full((4, len(self.names), max(map(len, self.boxes))), np.nan, np.float32)
        for place, of_image in enumerate(self.boxes):
            sides[:, place, : len(of_image)] = np.array(of_image).T
        region_mask, by_region = np.isfinite(sides[0]), ("question", "region")
        named = zip(("left", "top", "right", "bottom"), sides, strict=True)
        boxes = {name: xr.Variable(by_region, side, PIXELS) for name, side in named}
        every = np.ones(len(region_mask), dtype=bool)
        rows, columns, places = zip(*([*zip(*batch, strict=True)] for batch in cells), strict=True)

        def join(name: str, mask: Array, fill: float = np.nan, *, drawn: bool = False) -> Array:
            parts = [
                getattr(part, name)[(slice(None), row, column) if drawn else (row, column)]
                for part, row, column in zip(draws, rows, columns, strict=True)
            ]
            return join_batches(places, parts, mask, fill)

        region = join("alignment", every, -1, drawn=True).astype(np.int32)
        answer = join("target", every, -1).astype(np.int32)
        anew = join("replicated", every, -1, drawn=True).astype(np.int32)
        log_weight = join("log_weight_step", every, drawn=True)
        exact = draws[0].exact is not None
        known = join("log_marginal_step", every) if exact else None
        likelihood = log_likelihood("question", known, log_weight)
        likelihood.values[:, ~join("target_mask", every, 0)] = np.nan
        by_draw = (*DRAW, "question")
        return {
            "posterior": {"region": xr.Variable(by_draw, region[None])},
            "sample_stats": weight_statistics(log_weight, region, "question", exact=exact),
            "attention": {
                view: xr.Variable(by_region, join(view, region_mask), PROBABILITY) for view in draws[0].views
            },
            "log_likelihood": {"answer": likelihood},
            "posterior_predictive": {"answer": xr.Variable(by_draw, anew[None])},
            "observed_data": {"answer": xr.Variable("question", answer)},
            "constant_data": {"region_mask": xr.Variable(by_region, region_mask)} | boxes,
        }


def _mask(lengths: Sequence[int]) -> Array:
    mask: Array = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return mask


def _tokens(sequences: Sequence[Sequence[str]]) -> Array:
    width = max(map(len, sequences))
    return np.array([[*tokens, *[""] * (width - len(tokens))] for tokens in sequences], dtype=str)
