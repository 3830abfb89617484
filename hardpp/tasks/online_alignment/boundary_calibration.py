"""Starts and ends of tokens with intervals that hold what they claim, fitted to known times of the dev part.

A model says a token once it is sure of it, which may be long before the token ends, or after: its posterior,
exact or not, is over that moment. So ends have a lag and a temperature of their own (`Tempering`), by the
token's kind, and starts, which are where the token before was said, by the kind of that one. Where no pauses
are left between tokens, starts are the ends before them, and need no fit.
"""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple

import numpy as np
from torch import Tensor

from hardpp.data.speech.utterances import Utterance
from hardpp.diagnostics.emissions import Boundary
from hardpp.errors import DataError
from hardpp.tasks.answers.calibration.cross_fitting import CrossFit, cross_fit
from hardpp.tasks.answers.calibration.reliability import Curve, of_intervals
from hardpp.tasks.answers.calibration.tempering import Floats, Known, Tempering, central, fit, spread
from hardpp.tasks.online_alignment.emission_times import (
    TokenTimes,
    first_start,
    item_frames,
    plain_times,
    plain_times_of,
    sound_seconds,
)
from hardpp.tasks.opened_run import OpenedRun

LEVELS = (0.25, 0.5, 0.75, 0.89, 0.95)  # of the intervals that are held against known times
_TOGETHER = 1e-6  # seconds


class BoundaryFit(NamedTuple):
    """What was fitted to known times; without `starts`, tokens start where others end."""

    ends: Tempering
    starts: Tempering | None

    def times(self, frames: Floats, tokens: Sequence[str], seconds: float, mass: float) -> TokenTimes:
        """Times of one utterance by a posterior over frames (N, S), which last `seconds`."""

        def boundaries(tempering: Tempering) -> list[Boundary]:
            shares = (0.5, *central(mass))
            return [Boundary(*row) for row in tempering.quantiles(frames, tokens, seconds, shares).tolist()]

        ends = boundaries(self.ends)
        before = ends if self.starts is None else boundaries(self.starts)
        return TokenTimes.of([first_start(ends), *before][: len(ends)], ends, frames.max(-1).tolist())


class Heard(NamedTuple):
    """Utterances, and the frames at which a run says their tokens."""

    utterances: Sequence[Utterance]
    frames: Sequence[Tensor]  # (N, S) each
    drawn: bool  # frequencies of draws, or exact probabilities?

    @classmethod
    def by(cls, run: OpenedRun, utterances: Sequence[Utterance], view: str) -> "Heard":
        """By the guide or posterior of a run, drawn as the run was asked to."""
        exact = view == "posterior" and run.approximation is None
        return cls(utterances, item_frames(run, utterances, view), not exact)

    def smooth(self) -> list[Floats]:
        """The frames in double precision, those of draws spread."""
        rows = [frames.double().numpy() for frames in self.frames]
        return [spread(each) if len(each) else each for each in rows] if self.drawn else rows


def times_of(
    run: OpenedRun, utterances: Sequence[Utterance], view: str, *, thousandths: bool = False
) -> list[TokenTimes]:
    """When each token of each utterance starts and ends, as certain as the run was asked to be.

    Nothing ends after the sound, also when it is written in `thousandths` of a second.

    Raises:
        DataError: calibrated, and the dev part has too few known times.
    """
    seconds = run.description.frame_seconds
    mass, calibrated = run.certainty
    if calibrated:
        heard = Heard.by(run, utterances, view)
        fits = fits_of(Heard.by(run, run.select(part="dev"), view), seconds, mass)
        times = [
            fits.fit_for(utterance.name).times(frames, utterance.tokens, seconds, mass)
            for utterance, frames in zip(utterances, heard.smooth(), strict=True)
        ]
    else:
        times = plain_times_of(run, utterances, view, mass)
    return [
        each.within(_last(sound_seconds(utterance, seconds), thousandths))
        for utterance, each in zip(utterances, times, strict=True)
    ]


def _last(seconds: float, thousandths: bool) -> float:
    return floor(1000 * seconds + _TOGETHER) / 1000 if thousandths else seconds


def fits_of(heard: Heard, seconds: float, mass: float) -> CrossFit[BoundaryFit]:
    """The fits to those utterances whose times are known; a DataError if these have too few."""
    known = [
        (utterance, frames)
        for utterance, frames in zip(heard.utterances, heard.smooth(), strict=True)
        if utterance.segments
    ]
    ends, starts, gaps = [], [], False
    for utterance, frames in known:
        times = np.array([segment[:2] for segment in utterance.segments])  # (N, 2)
        ends.append(Known(utterance.name, frames, utterance.tokens, times[:, 1]))
        starts.append(Known(utterance.name, frames[:-1], utterance.tokens[:-1], times[1:, 0]))
        gaps = gaps or bool((times[1:, 0] > times[:-1, 1] + _TOGETHER).any())

    def fitted(places: Sequence[int]) -> BoundaryFit:
        of_starts = fit([starts[place] for place in places], seconds, mass) if gaps else None
        return BoundaryFit(fit([ends[place] for place in places], seconds, mass), of_starts)

    try:
        return cross_fit([utterance.name for utterance, _ in known], fitted)
    except ValueError as error:
        raise DataError(
            f"times of the dev part cannot calibrate others: {error}",
            "align without --calibrated needs no known ones",
        ) from error


def boundary_reliability(run: OpenedRun, utterances: Sequence[Utterance], view: str) -> list[Curve]:
    """Shares of known ends, and of known starts but the first, that intervals hold: raw and calibrated.

    The temperature is that of 89 % intervals.

    Raises:
        DataError: no times are known, or too few of the dev part.
    """
    known = [utterance for utterance in utterances if utterance.segments]
    if not known:
        raise DataError("no times are known of these utterances", "TIMIT and generated speech have some")
    heard, seconds = Heard.by(run, known, view), run.description.frame_seconds
    fits = fits_of(Heard.by(run, run.select(part="dev"), view), seconds, run.certainty.mass)
    smooth = heard.smooth()
    held: dict[str, list[list[bool]]] = {}
    for level in LEVELS:
        plain = [plain_times(frames, seconds, level) for frames in heard.frames]
        fitted = [
            fits.fit_for(utterance.name).times(frames, utterance.tokens, seconds, level)
            for utterance, frames in zip(known, smooth, strict=True)
        ]
        for how, rows in (("raw", plain), ("calibrated", fitted)):
            pairs = [(one.segments, times) for one, times in zip(known, rows, strict=True)]
            ends = [_holds(b, s.end) for segments, t in pairs for s, b in zip(segments, t.ends, strict=True)]
            starts = [
                _holds(b, s.start)
                for segments, t in pairs
                for s, b in zip(segments[1:], t.starts[1:], strict=True)
            ]
            held.setdefault(f"ends of tokens, {view}, {how}", []).append(ends)
            held.setdefault(f"starts of tokens, {view}, {how}", []).append(starts)
    return [of_intervals(what, LEVELS, rows) for what, rows in sorted(held.items())]


def _holds(boundary: Boundary, time: float) -> bool:
    return boundary.low <= time <= boundary.high
