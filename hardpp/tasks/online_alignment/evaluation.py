"""What a run on speech recognises, and its figures: errors, delays, likelihoods, and times of tokens.

Shapes: B utterances, S frames.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean
from typing import Any, NamedTuple

import torch
from pydantic import Field
from rapidfuzz.distance import Levenshtein

from hardpp.config import Section
from hardpp.data.speech.utterances import Utterance
from hardpp.data.vocabulary import BOUNDARY
from hardpp.decoding import online
from hardpp.decoding.online_hypotheses import Recognised
from hardpp.diagnostics.seeds import seeded
from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.importance_weighted import IWAE
from hardpp.tasks.answers.decoded import Hypothesis, in_place, ranked
from hardpp.tasks.attention import total_bound
from hardpp.tasks.metrics.boundary_error import boundary_errors, coverage
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.online_alignment.emission_times import plain_times_of
from hardpp.tasks.online_alignment.long_recordings import batches, is_long, long_log_p
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import log_probs
from hardpp.types import SequenceBatch

PARTICLES = 16  # of the bound, where log p is no recursion


class OnlineDecoding(Section):
    """How utterances are recognised."""

    beam: int = Field(
        1, ge=1, le=10_000, description="hypotheses kept by the beam; 1: greedy, as CTC always is"
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="greedy: emit once it is as probable as this that a token came"
    )
    sample: bool = Field(False, description="draw decisions and tokens, without a beam")
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws")


class Transcript(NamedTuple):
    """What was recognised in an utterance."""

    tokens: list[str]
    times: list[float]  # when each was said, seconds: the end of the frame at hand


def recognise(run: OpenedRun, utterances: Sequence[Utterance], options: OnlineDecoding) -> list[Transcript]:
    """Tokens and times of every utterance, frames read in order."""
    vocabulary, seconds = run.description.vocabulary, run.description.frame_seconds

    def heard(_: Any, batch: SequenceBatch) -> list[Transcript]:
        lengths = batch.source_mask.sum(-1).tolist()
        transcripts = []
        for length, (best, *_) in zip(lengths, _emissions(run, batch, lengths, options, 1), strict=True):
            times = [min(frame + 1, length) * seconds for frame in best.frames]
            transcripts.append(Transcript(vocabulary.decode(best.tokens), times))
        return transcripts

    return in_place(run.each(batches(run, utterances), heard))


def hypotheses(
    run: OpenedRun, utterances: Sequence[Utterance], options: OnlineDecoding, nbest: int
) -> list[tuple[Hypothesis, ...]]:
    """The most probable transcripts of every utterance, tokens with blanks between them.

    Where log p(tokens | frames) is a recursion it is that. Otherwise it is the sum over the paths that the
    search merged, with the state of the likeliest of them; of one transcript by greedy decoding, its path's.

    Raises:
        UsageError: several of a run, or by options, that can only say one.
    """
    ways = {
        "CTC, which takes the best label of every frame": run.network.form == "ctc",
        "--sample": options.sample,
    }
    if nbest > 1 and (one := [way for way, is_so in ways.items() if is_so]):
        raise UsageError(
            f"there is one transcript by {one[0]}, and no n best", "--scores says how probable it is"
        )
    exact = "marginal" not in run.family.lacks(run.network)
    vocabulary = run.description.vocabulary

    def heard(_: Any, batch: SequenceBatch) -> list[tuple[Hypothesis, ...]]:
        lengths = batch.source_mask.sum(-1).tolist()
        emissions = _emissions(run, batch, lengths, options, nbest)
        scores = [[one.log_prob for one in of_one] for of_one in emissions]
        if exact:
            scores = log_probs(run, batch, [[one.tokens for one in of_one] for of_one in emissions])
        found = []
        for of_one, values in zip(emissions, scores, strict=True):
            texts = (" ".join(vocabulary.decode(one.tokens)) for one in of_one)
            named = zip(texts, values, strict=True)
            found.append(ranked((Hypothesis(text, value, exact) for text, value in named), nbest))
        return found

    return in_place(run.each(batches(run, utterances), heard))


def evaluate(run: OpenedRun, utterances: Sequence[Utterance], options: OnlineDecoding) -> dict[str, Any]:
    """Errors, likelihoods and times of utterances: see `OnlineAlignmentFamily.figures`."""
    with seeded(options.seed, run.device):
        transcripts = recognise(run, utterances, options)
    # Seeded anew, as these do not depend on how many numbers decoding drew.
    with seeded(options.seed, run.device):
        figures = likelihood(run, utterances) | delays(transcripts, utterances)
    asked = replace(run, sampling=run.sampling._replace(seed=options.seed))
    figures |= timing(asked, utterances)
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
    }


def likelihood(run: OpenedRun, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """How probable the right tokens are: exactly, or by a bound of `PARTICLES` draws of the guide."""
    exact = "marginal" not in run.family.lacks(run.network)
    objective = ExactMarginal() if exact else IWAE(PARTICLES)
    bound = symbols = 0.0
    long = [utterance for utterance in utterances if exact and is_long(run, utterance)]
    others = [utterance for utterance in utterances if not (exact and is_long(run, utterance))]
    for (utterance,), log_p in run.each((([one],) for one in long), lambda one: long_log_p(run, *one)):
        bound += log_p
        symbols += len(utterance.tokens) + 1
        run.watch(1)

    def of_batch(_: Any, batch: SequenceBatch) -> tuple[float, float]:
        return total_bound(objective, *run.programs, batch), float(batch.symbols)

    for _, (of_some, many) in run.each(batches(run, others) if others or not long else (), of_batch):
        bound += of_some
        symbols += many
    return {"nll": -bound / symbols, "nll_is": "exact" if exact else f"bound of {PARTICLES}"}


def delays(transcripts: Sequence[Transcript], utterances: Sequence[Utterance]) -> dict[str, float]:
    """How long after its end a token is recognised; nothing where no times are known."""
    late = [
        1000 * (transcript.times[here] - utterance.segments[there].end)
        for transcript, utterance in zip(transcripts, utterances, strict=True)
        if utterance.segments
        for here, there in matches(transcript.tokens, utterance.tokens)
    ]
    return {"delay": mean(late)} if late else {}


def timing(run: OpenedRun, utterances: Sequence[Utterance]) -> dict[str, float]:
    """How far the posterior of when tokens were said, given the right ones, is from when they ended.

    A model says a token once it is sure, which need not be at its end: hence figures without the mean lag.
    Nothing where no times are known.
    """
    timed = [utterance for utterance in utterances if utterance.segments]
    if not timed:
        return {}
    rows = [times.ends for times in plain_times_of(run, timed, "posterior", run.certainty.mass)]
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


# The best transcripts of each utterance, as ids.
@torch.no_grad()
def _emissions(
    run: OpenedRun, batch: SequenceBatch, lengths: Sequence[int], options: OnlineDecoding, nbest: int
) -> list[list[Recognised]]:
    model: Any = run.programs.model
    frames = batch.source, batch.source_mask
    if run.network.form == "ctc":
        best = model.read(*frames).argmax(-1).masked_fill(~batch.source_mask, BOUNDARY).tolist()
        return [[_labelling(labels)] for labels in best]
    # Of each by itself: what is said of an utterance must not depend on how long the others are.
    limits = [run.description.most_tokens(length) for length in lengths]
    most = torch.tensor(limits, device=batch.source.device)
    width = max(options.beam, nbest)
    if options.sample:
        return [[drawn] for drawn in online.draw(model, *frames, most=most)]
    if width > 1:
        return online.beam_ranked(model, *frames, most=most, width=width, merge=True, count=nbest)
    return [[best] for best in online.decode(model, *frames, most=most, threshold=options.threshold)]


# Runs of a label are joined and said at their first frame, blanks left out. Of one path, without its
# probability.
def _labelling(labels: Sequence[int]) -> Recognised:
    changes = enumerate(pairwise([BOUNDARY, *labels]))
    frames = [frame for frame, (before, label) in changes if label not in (before, BOUNDARY)]
    return Recognised([labels[frame] for frame in frames], frames, math.nan)
