"""How often a run draws from its guide, and with which seed, where draws stand for what cannot be computed.

Every verb that draws takes both, and draws the same for an item: `align`, `plot` and `posterior` speak of one
set of draws. The seed is the run's `decoding.seed`, or 0, if it is left out.
"""

from typing import NamedTuple, TypedDict

# What stands for the posterior of an item where it cannot be computed.
PICKED = "one of {draws} draws of the guide (seed {seed}), picked by its importance weight"
AVERAGED = "{draws} draws of the guide (seed {seed}), averaged by their importance weights"


class Sampling(NamedTuple):
    """Draws of the guide for each item, and their seed."""

    draws: int = 100
    seed: int = 0


DEFAULT = Sampling()


class SamplingOptions(TypedDict, total=False):
    """The same, as verbs take it."""

    draws: int
    seed: int | None
