"""The objectives that the programs are put to, and which bound each of them is to be the gradient of.

A program may refuse settings by name, or by kind: "several" are those that run particles at once, "iw" those
that weigh particles, "sums" those that enumerate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from objective_settings import half_trained

from hardpp.inference import IWAE, OVIS, VIMCO, EnumeratedELBO, ExactMarginal, ReweightedWakeSleep
from hardpp.inference import ScoreFunctionELBO as ELBO


class Setting(NamedTuple):
    """An objective of K particles; K is 0 where nothing is drawn."""

    bound: str  # see `brute_force.bounds`
    K: int
    make: Callable[..., Any]
    one_by_one: bool = False
    weighs: bool = False  # particles, whose sites must share one scale

    @property
    def kinds(self) -> set[str]:
        """What a program may refuse it by."""
        kinds = {"sums"} if self.K == 0 else {"several"} if self.K > 1 and not self.one_by_one else set()
        return kinds | ({"iw"} if self.weighs else set())


def drawn(make: Callable[..., Any], K: int, **options: Any) -> Callable[..., Any]:
    """A constructor with its options."""
    return lambda **more: make(K, **options, **more)


ONE = {"vectorize_particles": False}
SETTINGS = {
    "elbo": Setting("elbo", 1, ELBO),
    "elbo, global": Setting("elbo", 1, drawn(ELBO, 1, credit="global")),
    "iwae of one": Setting("elbo", 1, drawn(IWAE, 1), weighs=True),
    "leave-one-out": Setting("elbo", 2, drawn(ELBO, 2, baseline="leave-one-out")),
    "leave-one-out, global": Setting("elbo", 2, drawn(ELBO, 2, credit="global", baseline="leave-one-out")),
    "leave-one-out, one by one": Setting("elbo", 2, drawn(ELBO, 2, baseline="leave-one-out", **ONE), True),
    "average": Setting("elbo", 2, lambda **kw: half_trained(ELBO(2, baseline="average", **kw))),
    "batch": Setting("elbo", 2, drawn(ELBO, 2, baseline="batch")),
    "batch of one": Setting("elbo", 1, drawn(ELBO, 1, baseline="batch")),
    "batch of one, global": Setting("elbo", 1, drawn(ELBO, 1, credit="global", baseline="batch")),
    "temporal": Setting("elbo", 2, drawn(ELBO, 2, baseline="temporal")),
    "iwae": Setting("iw", 2, drawn(IWAE, 2), weighs=True),
    "iwae, prefix": Setting("iw", 2, drawn(IWAE, 2, control="prefix"), weighs=True),
    "vimco": Setting("iw", 2, drawn(VIMCO, 2), weighs=True),
    "vimco, one by one": Setting("iw", 2, drawn(VIMCO, 2, **ONE), True, weighs=True),
    "vimco, geometric": Setting("iw", 2, drawn(VIMCO, 2, control="geometric"), weighs=True),
    "vimco, arithmetic": Setting("iw", 2, drawn(VIMCO, 2, control="arithmetic", center=False), weighs=True),
    "ovis": Setting("iw", 2, drawn(OVIS, 2, gamma=0.0), weighs=True),
    "rws, model": Setting(
        "iw model",
        2,
        drawn(ReweightedWakeSleep, 2, control_variates=False, train_guide=False),
        weighs=True,
    ),
    "exact": Setting("exact", 0, ExactMarginal),
    "enumerated": Setting("elbo", 0, EnumeratedELBO),
}
QUICK = ["elbo", "leave-one-out", "vimco", "exact", "enumerated"]
