"""How often a run draws from its guide, and with which seed, where draws stand for what cannot be computed.

Every verb that draws takes both, and draws the same for an item: `align`, `plot` and `posterior` speak of one
set of draws. The seed is the run's `decoding.seed`, or 0, if it is left out.
"""

from typing import Any, NamedTuple, TypedDict

from hardpp.tasks.arguments import check_number

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


def sampling_of(decoding: Any, draws: int = DEFAULT.draws, seed: int | None = None) -> Sampling:
    """What is asked for, on top of a run's options of decoding; a UsageError if it cannot be."""
    check_number("draws", draws, 1)
    check_number("seed", seed, 0, optional=True)
    if seed is None:
        seed = decoding.model_dump().get("seed", DEFAULT.seed)
    return Sampling(int(draws), int(seed))
