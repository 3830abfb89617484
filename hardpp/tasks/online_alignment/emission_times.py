"""When each token of known utterances starts and ends: medians and intervals, by a run's guide or posterior.

A model says when a token is said, and nothing of where it starts: that is where the one before it was said.
Of the first token nothing is known but that it does not start after its end: its interval is from 0 up to
the last time that it may end. Nothing ends after the sound, whose last frame may do so.

Shapes: B utterances, S frames, T tokens (the end mark included), N tokens (without it).
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp import sites
from hardpp.data.speech.features import LogMel
from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.diagnostics.emissions import Boundary, draw_emissions, exact_emissions
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.distributions.ctc import CTCSequence
from hardpp.errors import UsageError
from hardpp.tasks.answers.certainty import MASS
from hardpp.tasks.attention import apart, datum_stream
from hardpp.tasks.online_alignment.long_recordings import batches, draws_at_once, is_long, long_entries
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch


class TokenTimes(NamedTuple):
    """When the tokens of one utterance were said, in order: no token starts before another one ended."""

    starts: list[Boundary]  # one a token
    ends: list[Boundary]  # one a token
    confidences: list[float]  # probability of each token's likeliest frame

    @classmethod
    def of(
        cls, starts: Sequence[Boundary], ends: Sequence[Boundary], confidences: list[float]
    ) -> "TokenTimes":
        """Brings boundaries into order, by moving times later and by widening intervals."""
        both = [boundary for pair in zip(starts, ends, strict=True) for boundary in pair]
        times = accumulate((boundary.time for boundary in both), max)
        lows = [*accumulate((boundary.low for boundary in reversed(both)), min)][::-1]
        highs = accumulate((boundary.high for boundary in both), max)
        both = [Boundary(*row) for row in zip(times, lows, highs, strict=True)]
        return cls(both[::2], both[1::2], confidences)

    def within(self, seconds: float) -> "TokenTimes":
        """The same with nothing after the end of the sound, which lasts `seconds`."""

        def cut(boundaries: Sequence[Boundary]) -> list[Boundary]:
            return [Boundary(*(min(time, seconds) for time in boundary)) for boundary in boundaries]

        return self._replace(starts=cut(self.starts), ends=cut(self.ends))

    def segments(self, tokens: Sequence[str]) -> list[Segment]:
        """Each token from its start to its end."""
        times = zip(self.starts, self.ends, tokens, strict=True)
        return [Segment(start.time, end.time, token) for start, end, token in times]


def token_frames(run: OpenedRun, batch: SequenceBatch, view: str) -> Tensor:
    """p(token t was said at frame s), (B, T, S), under the guide or the posterior.

    The posterior is exact where the model has sums over alignments, and else that of weighted draws. They
    are the draws of `hardpp posterior`: of each utterance by itself.

    Raises:
        UsageError: the prior, which has no frames for tokens that are not known yet; or the guide of CTC.
    """
    if view == "prior":
        raise UsageError(
            "before tokens are known a model of decisions has no times for them", "give --of posterior"
        )
    form = run.network.form
    if form == "ctc":
        if view == "guide":
            raise UsageError("CTC has no guide", "give --of posterior")
        return _ctc_frames(run.programs.model, batch)
    if view == "posterior" and run.approximation is None:
        return exact_emissions(run.programs.model, batch)[0]
    frames = torch.zeros(*batch.target.shape, batch.source.shape[1], device=batch.source.device)
    for row, one in enumerate(apart(batch)):
        with seeded(stream(run.sampling.seed, datum_stream(one)), run.device):
            sizes = one.source.shape[1], one.target.shape[1]
            options: Any = {"site": sites.DECISIONS, "draws": run.sampling.draws, "exact": False}
            options["at_once"] = draws_at_once(run, *sizes)
            draws = draw_emissions(*run.programs, one, **options)
        found = (draws.guide if view == "guide" else draws.marginal)[0]
        frames[row, : found.shape[0], : found.shape[1]] = found
    return frames


def view_name(run: OpenedRun, view: str) -> str:
    """What pictures call the guide or the posterior that `token_frames` gives."""
    draws = run.sampling.draws
    if view == "guide":
        return f"guide, {draws} draws"
    return (
        "exact posterior" if run.approximation is None else f"posterior, {draws} weighted draws of the guide"
    )


def frames_of_items(run: OpenedRun, utterances: Sequence[Utterance], view: str) -> list[Tensor]:
    """The same of each utterance by itself, without padding and on the host: (T, S) each."""
    probabilities: dict[int, Tensor] = {}
    exact = view == "posterior" and run.approximation is None
    long = [index for index, one in enumerate(utterances) if exact and is_long(run, one)]
    for index, dense in run.each(
        ((index,) for index in long), lambda one: long_entries(run, utterances[one]).dense()
    ):
        probabilities[index] = dense
        run.watch(1)
    others = [index for index in range(len(utterances)) if index not in probabilities]

    def unpadded(_: Any, batch: SequenceBatch) -> list[Tensor]:
        sizes = (mask.sum(-1).tolist() for mask in (batch.target_mask, batch.source_mask))
        of_batch = token_frames(run, batch, view).cpu()
        return [padded[:T, :S] for padded, T, S in zip(of_batch, *sizes, strict=True)]

    some = batches(run, [utterances[index] for index in others]) if others or not long else ()
    for places, found in run.each(some, unpadded):
        probabilities |= {others[place]: each for place, each in zip(places, found, strict=True)}
    return [probabilities[index] for index in range(len(probabilities))]


def item_frames(run: OpenedRun, utterances: Sequence[Utterance], view: str) -> list[Tensor]:
    """The same without the end mark: (N, S) each."""
    return [frames[:-1] for frames in frames_of_items(run, utterances, view)]


def plain_times_of(
    run: OpenedRun, utterances: Sequence[Utterance], view: str, mass: float
) -> list[TokenTimes]:
    """Times of utterances as the guide or posterior of a run has them, of long ones without all frames."""
    exact, seconds = view == "posterior" and run.approximation is None, run.description.frame_seconds
    times: dict[int, TokenTimes] = {}
    shares = (0.5, (1 - mass) / 2, 1 - (1 - mass) / 2)

    def of_long(index: int) -> TokenTimes:
        entries = long_entries(run, utterances[index])
        return _times(entries.quantiles(shares)[:-1], entries.largest()[:-1], seconds)

    long = ((index,) for index, one in enumerate(utterances) if exact and is_long(run, one))
    for index, found in run.each(long, of_long):
        times[index] = found
        run.watch(1)
    others = [index for index in range(len(utterances)) if index not in times]
    if others or not times:
        frames = item_frames(run, [utterances[index] for index in others], view)
        times |= dict(zip(others, (plain_times(each, seconds, mass) for each in frames), strict=True))
    return [times[index] for index in range(len(utterances))]


def plain_times(frames: Tensor, seconds: float, mass: float) -> TokenTimes:
    """Times of one utterance as a posterior over frames (N, S) has them; a frame lasts `seconds`.

    A token ends with the frame at which it is said, the interval holds whole frames.
    """
    rows = torch.stack(quantiles(frames, mass), -1).tolist()
    return _times(rows, frames.amax(-1).tolist(), seconds)


# Of rows of median, first and last frame.
def _times(rows: Sequence[Sequence[int]], confidences: list[float], seconds: float) -> TokenTimes:
    ends = [
        Boundary((median + 1) * seconds, low * seconds, (high + 1) * seconds) for median, low, high in rows
    ]
    return TokenTimes.of([first_start(ends), *ends][: len(ends)], ends, confidences)


def first_start(ends: Sequence[Boundary]) -> Boundary:
    """Where the first token starts, of which nothing is known but that it is not after its end."""
    return Boundary(0.0, 0.0, ends[0].high if ends else 0.0)


def sound_seconds(utterance: Utterance, frame_seconds: float) -> float:
    """How long the sound of an utterance lasts, by its head; where none was read, as long as its frames."""
    head = utterance.frames.head if isinstance(utterance.frames, LogMel) else None
    return utterance.length * frame_seconds if head is None else head.seconds


def quantiles(frames: Tensor, mass: float = MASS) -> tuple[Tensor, Tensor, Tensor]:
    """Median, first and last frame of the central interval of so much mass: (..., S) -> (...) int64."""
    cumulative = frames.cumsum(-1).contiguous()
    total, tail = cumulative[..., -1:], (1 - mass) / 2
    median, low, high = (
        torch.searchsorted(cumulative, share * total).squeeze(-1).clamp(max=frames.shape[-1] - 1)
        for share in (0.5, tail, 1 - tail)
    )
    return median, low, high


# A token is said where its first frame is, as decoding has it.
@torch.no_grad()
def _ctc_frames(model: Any, batch: SequenceBatch) -> Tensor:
    logits = model.read(batch.source, batch.source_mask)
    labelling = CTCSequence(logits, batch.source_mask, batch.target_mask, model.boundary)
    return torch.nn.functional.pad(labelling.token_frames(batch.target), (0, 0, 0, 1))  # (B, T, S)
