"""The posterior of a boundary in time: a median and an interval."""

from typing import NamedTuple


class Boundary(NamedTuple):
    """When one token gives way to the next, as far as that is known."""

    time: float  # seconds
    low: float  # seconds, from here
    high: float  # to here it lies with the interval's probability
