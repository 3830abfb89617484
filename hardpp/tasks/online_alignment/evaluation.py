"""Figures of a run on speech: errors and delays of what it recognises, likelihoods, and times of tokens."""

import time
from collections.abc import Sequence
from statistics import mean
from typing import Any

from rapidfuzz.distance import Levenshtein

from hardpp.data.speech.utterances import Utterance
from hardpp.diagnostics.seeds import seeded
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.importance_weighted import IWAE
from hardpp.metrics.boundary_error import boundary_errors, coverage
from hardpp.metrics.error_rates import phone_error_rate
from hardpp.tasks.attention import total_bound
from hardpp.tasks.online_alignment.batches import batches
from hardpp.tasks.online_alignment.emission_times import token_times
from hardpp.tasks.online_alignment.recognition import OnlineDecoding, Transcript, recognise
from hardpp.tasks.opened_run import OpenedRun

PARTICLES = 16  # of the bound, where log p is no recursion


def evaluate(run: OpenedRun, utterances: Sequence[Utterance], options: OnlineDecoding) -> dict[str, Any]:
    """Errors, likelihoods and times of a list of utterances.

    Returns:
        `PER`, edits over tokens, both folded as the corpus says; `WER`, utterances with any; of `likelihood`,
        `delays` and `timing`; `utterances`, the run's `step`, and `seconds` of recognising 1,000 utterances.
    """
    began = time.perf_counter()
    with seeded(run.config.seed, run.device):  # asked again, it says the same
        transcripts = recognise(run, utterances, options)
    seconds = time.perf_counter() - began
    # Seeded anew, as these do not depend on how many numbers decoding drew.
    with seeded(run.config.seed, run.device):
        figures = {
            **likelihood(run, utterances),
            **delays(transcripts, utterances),
            **timing(run, utterances),
        }
    rates = phone_error_rate(
        [transcript.tokens for transcript in transcripts],
        [utterance.tokens for utterance in utterances],
        run.description.folding,
    )
    return {
        "PER": rates.symbol,
        "WER": rates.sequence,
        **figures,
        "utterances": len(utterances),
        "step": run.step,
        "seconds": 1000 * seconds / len(utterances),
    }


def likelihood(run: OpenedRun, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """How probable the right tokens are.

    Returns:
        `nll` in nats per token (the end mark counts as one), exact, or of a bound of `PARTICLES` importance
        weights from the guide, as `nll_is` says.
    """
    exact = "marginal" not in run.family.lacks(run.network)
    objective = ExactMarginal() if exact else IWAE(PARTICLES)
    bound = symbols = 0.0
    for _, batch in batches(run, utterances):
        bound += total_bound(objective, *run.programs, batch)
        symbols += float(batch.symbols)
    return {"nll": -bound / symbols, "nll_is": "exact" if exact else f"bound of {PARTICLES}"}


def delays(transcripts: Sequence[Transcript], utterances: Sequence[Utterance]) -> dict[str, float]:
    """How long after its end a token is recognised.

    Returns:
        `delay`, the mean in milliseconds over tokens recognised rightly; nothing where no times are known.
    """
    late = [
        1000 * (transcript.times[here] - utterance.segments[there].end)
        for transcript, utterance in zip(transcripts, utterances, strict=True)
        if utterance.segments
        for here, there in matches(transcript.tokens, utterance.tokens)
    ]
    return {"delay": mean(late)} if late else {}


def timing(run: OpenedRun, utterances: Sequence[Utterance]) -> dict[str, float]:
    """How far the posterior of when tokens were said, given the right ones, is from when they ended.

    Returns:
        nothing where no times are known; else, in milliseconds, `boundary`, how far its median is from a
        token's end; `interval`, how long the 89 % intervals are; and `coverage`, the share of ends that they
        hold. A model says a token once it is sure, which need not be at its end: `lag` is the mean of median
        minus end, and `boundary_aligned` and `coverage_aligned` are what is left when that one number is
        taken off.
    """
    timed = [utterance for utterance in utterances if utterance.segments]
    if not timed:
        return {}
    rows = [times.boundaries for times in token_times(run, timed, "posterior")]
    ends = [[segment.end for segment in utterance.segments] for utterance in timed]

    def side(name: str, lag: float) -> list[list[float]]:
        return [[getattr(boundary, name) - lag for boundary in row] for row in rows]

    raw = boundary_errors(side("time", 0.0), ends)
    lag = raw.bias / 1000
    held, aligned = (coverage(side("low", off), side("high", off), ends) for off in (0.0, lag))
    return {
        "boundary": raw.mean,
        "lag": raw.bias,
        "boundary_aligned": boundary_errors(side("time", lag), ends).mean,
        "coverage": held.rate,
        "coverage_aligned": aligned.rate,
        "interval": held.width,
    }


def matches(tokens: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of recognised tokens and of the right ones that they are, by the fewest edits."""
    blocks = Levenshtein.opcodes(list(tokens), list(right)).as_matching_blocks()
    return [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]
