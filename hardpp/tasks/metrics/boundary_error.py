"""Errors of predicted boundaries in time, and coverage of their intervals.

Boundaries are times, in seconds, of the same events in the same order. With d the distance of a predicted
boundary from its gold one:

    mean = sum d / n        within 20 ms = |{d <= 0.02}| / n

Coverage is the fraction of intervals that contain their gold boundary: of intervals with probability 0.89 it
should be 0.89.

Source: the scoring of forced alignments, for instance McAuliffe et al. (2017), Montreal Forced Aligner.
"""

from collections.abc import Sequence
from typing import NamedTuple

Times = Sequence[Sequence[float]]  # of the boundaries of each utterance, in seconds

_NEAR = 20.0  # ms, the agreement of phoneticians with one another
_ROUNDING = 1e-6  # ms


class BoundaryErrors(NamedTuple):
    """Distances of all utterances' boundaries; in milliseconds."""

    mean: float
    median: float
    bias: float  # mean of predicted - gold: above 0 if boundaries are predicted late
    near: float  # fraction within 20 ms
    boundaries: int


class Coverage(NamedTuple):
    """The fraction of gold boundaries that lie in their intervals."""

    rate: float  # held / boundaries
    width: float  # mean of the intervals, in milliseconds
    held: int
    boundaries: int


def boundary_errors(predicted: Times, gold: Times) -> BoundaryErrors:
    """Distances of predicted boundaries from the gold ones.

    Raises:
        ValueError: unequal numbers of utterances or boundaries, or no boundary.
    """
    errors = [1000 * (time - true) for time, true in _matched(predicted, gold)]
    distances = sorted(abs(error) for error in errors)
    n = len(distances)
    return BoundaryErrors(
        sum(distances) / n,
        (distances[(n - 1) // 2] + distances[n // 2]) / 2,
        sum(errors) / n,
        sum(distance <= _NEAR + _ROUNDING for distance in distances) / n,
        n,
    )


def coverage(low: Times, high: Times, gold: Times) -> Coverage:
    """How many gold boundaries lie in the intervals from `low` to `high`, ends included.

    Raises:
        ValueError: unequal numbers of utterances or boundaries, an interval that ends before it starts, or no
            boundary.
    """
    pairs = list(zip(_matched(low, gold), _matched(high, gold), strict=True))
    for (first, _), (last, _) in pairs:
        if last < first:
            raise ValueError(f"expected intervals that end after they start, got {first} s to {last} s")
    held = sum(first <= there <= last for (first, there), (last, _) in pairs)
    width = sum(last - first for (first, _), (last, _) in pairs)
    return Coverage(held / len(pairs), 1000 * width / len(pairs), held, len(pairs))


def _matched(predicted: Times, gold: Times) -> list[tuple[float, float]]:
    if len(predicted) != len(gold):
        raise ValueError(f"expected boundaries of {len(gold)} utterances, got {len(predicted)}")
    pairs = []
    for row, (here, there) in enumerate(zip(predicted, gold, strict=True)):
        if len(here) != len(there):
            raise ValueError(f"expected {len(there)} boundaries in utterance {row}, got {len(here)}")
        pairs += list(zip(here, there, strict=True))
    if not pairs:
        raise ValueError("expected at least one boundary, got none")
    return pairs
