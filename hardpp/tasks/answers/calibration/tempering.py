"""A temperature and a lag that make intervals of times hold what they claim, fitted to known times.

A posterior p(s) over frames says when a model did something; asked is when something happened, which is not
the same. Calibrated, the time has the density

    p_T(s)^(1/T) / sum of these, uniform within a frame,  moved earlier by the lag of its label

T (the temperature, above 1 if the posterior is too sure) makes central intervals of one probability hold that
share of the known times. The lag is a constant that is estimated, not derived: the median of (median time -
known time), of each label, drawn towards that of all labels by `_PULL` of these. T is fitted to lags of other
folds, since a lag that has seen a time is nearer to it than to a new one.

Where p are frequencies of draws, each draw also counts e^-d at d frames from its own: no temperature would
reach a frame that no draw did.

Sources: Guo, Pleiss, Sun and Weinberger (2017), section 4.2, for temperatures; Lei et al. (2018),
Distribution-Free Predictive Inference for Regression, for the share that n known times must have.
Shapes: N times, S frames, Q quantiles.
"""

from collections.abc import Mapping, Sequence
from math import ceil, exp, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardpp.tasks.answers.calibration.cross_fitting import FOLDS, folds_of

Floats = NDArray[np.floating[Any]]

FEWEST = 50  # known times: of fewer the 95 % quantile says little
_PULL = 5.0  # known times that the median of all labels counts as
_RANGE = (0.1, 100.0)  # of temperatures
_STEPS = 14  # of bisection, each a temperature within 0.05 % in the end
_SMALLEST = 1e-30  # of probabilities


class Known(NamedTuple):
    """Known times of one datum, and what a model says of them."""

    datum: str  # what the datum is: decides the fold
    frames: Floats  # (N, S) probabilities over frames
    labels: Sequence[str]  # N, of the things that happened
    times: Floats  # (N,) seconds


class Tempering(NamedTuple):
    """What makes a posterior over frames one over times."""

    temperature: float
    lag: float  # seconds by which the model is late: of all labels
    lags: Mapping[str, float]  # the same of each label that was seen
    fitted_to: int  # known times

    def quantiles(
        self, frames: Floats, labels: Sequence[str], seconds: float, shares: Sequence[float]
    ) -> Floats:
        """Times (N, Q) before which the thing has happened with each probability; a frame lasts `seconds`."""
        lags = np.array([self.lags.get(label, self.lag) for label in labels]).reshape(-1, 1)
        ends = frames.shape[-1] * seconds
        return np.clip(tempered_quantiles(frames, self.temperature, shares) * seconds - lags, 0.0, ends)


def tempered_quantiles(frames: Floats, temperature: float, shares: Sequence[float]) -> Floats:
    """Quantiles (N, Q), in frames from 0 to S, of p^(1/T), uniform within a frame."""
    logs = np.log(np.maximum(frames, _SMALLEST)) / temperature
    p = np.exp(logs - logs.max(-1, keepdims=True))
    reached = np.cumsum(p, -1)
    total = reached[:, -1:]
    out = np.empty((len(frames), len(shares)))
    for column, share in enumerate(shares):
        goal = share * total
        frame = np.minimum((reached < goal).sum(-1, keepdims=True), frames.shape[-1] - 1)
        within = np.take_along_axis(p, frame, -1)
        before = np.take_along_axis(reached, frame, -1) - within
        out[:, column] = (frame + np.clip((goal - before) / within, 0.0, 1.0))[:, 0]
    return out


def spread(frequencies: Floats) -> Floats:
    """Frequencies of draws (N, S), each draw counting e^-d at d frames from its own; rows sum to 1."""
    S = frequencies.shape[-1]
    distance = np.abs(np.arange(S)[:, None] - np.arange(S))
    kernel = np.exp(-distance.astype(np.float64))
    smooth = frequencies @ (kernel / kernel.sum(-1, keepdims=True))
    out: Floats = smooth / smooth.sum(-1, keepdims=True)
    return out


def central(mass: float) -> tuple[float, float]:
    """The shares at which a central interval of so much probability begins and ends."""
    return (1 - mass) / 2, (1 + mass) / 2


def fit(known: Sequence[Known], seconds: float, mass: float) -> Tempering:
    """The temperature and lags of known times, for central intervals of one probability.

    Raises:
        ValueError: fewer than `FEWEST` known times.
    """
    labels = [label for each in known for label in each.labels]
    times = np.concatenate([np.zeros(0), *(each.times for each in known)])
    if len(times) < FEWEST:
        raise ValueError(f"{FEWEST} known times are needed, there are {len(times)}")
    fold = folds_of([each.datum for each in known])
    folds = np.repeat([fold[each.datum] for each in known], [len(each.times) for each in known])

    # Times by the posterior of a temperature, without lags: the median, and the interval's ends.
    def spans(temperature: float) -> Floats:
        shares = (0.5, *central(mass))
        return seconds * np.concatenate(
            [tempered_quantiles(each.frames, temperature, shares) for each in known]
        )

    # Do intervals of this temperature hold enough, with the lags of other folds?
    def holds(temperature: float) -> bool:
        median, low, high = spans(temperature).T
        late, lag = median - times, np.empty(len(times))
        for left in range(FOLDS):
            inside = folds == left
            others = ~inside if not inside.all() else inside
            overall, of_label = _lags(late[others], [labels[n] for n in np.flatnonzero(others)])
            lag[inside] = [of_label.get(labels[n], overall) for n in np.flatnonzero(inside)]
        held = int(((low - lag <= times) & (times <= high - lag)).sum())
        return held >= min(len(times), ceil((len(times) + 1) * mass))

    low, high = log(_RANGE[0]), log(_RANGE[1])
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(exp(middle)) else (middle, high)
    return Tempering(exp(high), *_lags(spans(exp(high))[:, 0] - times, labels), len(times))


# The lag of all labels, and of each, by how late each time is.
def _lags(late: Floats, labels: Sequence[str]) -> tuple[float, dict[str, float]]:
    overall = float(np.median(late))
    of_label: dict[str, list[float]] = {}
    for label, seconds in zip(labels, late.tolist(), strict=True):
        of_label.setdefault(label, []).append(seconds)
    pulled = {
        label: (len(each) * float(np.median(each)) + _PULL * overall) / (len(each) + _PULL)
        for label, each in sorted(of_label.items())
    }
    return overall, pulled
