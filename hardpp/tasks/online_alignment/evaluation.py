"""Figures of a run on speech: errors and delays of what it recognises, likelihoods, and times of tokens."""

import time
from collections.abc import Sequence
from statistics import mean
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein

from hardpp.data.speech.utterances import Utterance
from hardpp.diagnostics.seeds import seeded
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.importance_weighted import IWAE
from hardpp.metrics.boundary_error import boundary_errors, coverage
from hardpp.metrics.phone_error_rate import phone_error_rate
from hardpp.tasks.family import Run
from hardpp.tasks.online_alignment.data import batches
from hardpp.tasks.online_alignment.emission_times import token_times
from hardpp.tasks.online_alignment.network import form
from hardpp.tasks.online_alignment.recognition import OnlineDecoding, Said, recognise

PARTICLES = 16  # of the bound, where log p is no recursion


def figures(run: Run, utterances: Sequence[Utterance], how: OnlineDecoding) -> dict[str, Any]:
    """What the run makes of utterances.

    Returns:
        `PER`, edits over tokens, both folded as the corpus says; `WER`, utterances with any; `nll` in nats
        per token (the end mark counts as one), exact, or of a bound of `PARTICLES` importance weights from
        the guide, as `nll_is` says. Where it is known when tokens were said, all in milliseconds: `delay`,
        from a token's end to its recognition, over tokens recognised rightly; and of the posterior given
        the right tokens, `boundary`, how far its median is from a token's end, `interval`, how long the
        89 % intervals are, and `coverage`, the share of ends that they hold. A model says a token once it
        is sure, which need not be at its end: `lag` is the mean of median minus end, and `boundary_aligned`
        and `coverage_aligned` are what is left when that one number is taken off. `utterances`, the run's
        `step`, and `seconds` of recognising 1,000 utterances.
    """
    began = time.perf_counter()
    with seeded(run.config.seed, run.device):  # asked again, it says the same
        said = recognise(run, utterances, how)
    seconds = time.perf_counter() - began
    # Seeded anew, as these do not depend on how many numbers decoding drew.
    with seeded(run.config.seed, run.device):
        known = {**likelihood(run, utterances), **delays(said, utterances), **timing(run, utterances)}
    folding = run.description["folding"]
    rates = phone_error_rate([one.tokens for one in said], [one.tokens for one in utterances], folding)
    return {
        "PER": rates.symbol,
        "WER": rates.sequence,
        **known,
        "utterances": len(utterances),
        "step": run.step,
        "seconds": 1000 * seconds / len(utterances),
    }


@torch.no_grad()
def likelihood(run: Run, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """`nll` in nats per token, and what it is."""
    summed_out = form(run.config) != "online"
    objective: Any = ExactMarginal() if summed_out else IWAE(PARTICLES)
    bound = symbols = 0.0
    for _, batch in batches(run, utterances):
        bound += float(objective.estimate(*run.programs, batch).bound.sum())
        symbols += float(batch.symbols)
    return {"nll": -bound / symbols, "nll_is": "exact" if summed_out else f"bound of {PARTICLES}"}


def delays(said: Sequence[Said], utterances: Sequence[Utterance]) -> dict[str, float]:
    """`delay` in milliseconds of tokens recognised rightly; nothing where no times are known."""
    late = [
        1000 * (found.times[here] - utterance.segments[there].end)
        for found, utterance in zip(said, utterances, strict=True)
        if utterance.segments
        for here, there in _matches(found.tokens, utterance.tokens)
    ]
    return {"delay": mean(late)} if late else {}


def timing(run: Run, utterances: Sequence[Utterance]) -> dict[str, float]:
    """How far the posterior of when tokens were said is from when they ended, where that is known."""
    timed = [utterance for utterance in utterances if utterance.segments]
    if not timed:
        return {}
    found = [known.boundaries for known in token_times(run, timed, "posterior")]
    gold = [[segment.end for segment in utterance.segments] for utterance in timed]

    def side(name: str, lag: float) -> list[list[float]]:
        return [[getattr(boundary, name) - lag for boundary in row] for row in found]

    raw = boundary_errors(side("time", 0.0), gold)
    lag = raw.bias / 1000
    held, aligned = (coverage(side("low", off), side("high", off), gold) for off in (0.0, lag))
    return {
        "boundary": raw.mean,
        "lag": raw.bias,
        "boundary_aligned": boundary_errors(side("time", lag), gold).mean,
        "coverage": held.rate,
        "coverage_aligned": aligned.rate,
        "interval": held.width,
    }


def _matches(found: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    blocks = Levenshtein.opcodes(list(found), list(right)).as_matching_blocks()
    return [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]
