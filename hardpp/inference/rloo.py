"""The score function, each particle the measure of the others.

Source: Kool, van Hoof and Welling (2019), Buy 4 REINFORCE Samples, Get a Baseline for Free!
"""

from hardpp.inference.control.schedules import EntropyBonus
from hardpp.inference.score_function import Credit, ScoreFunctionELBO


class RLOO(ScoreFunctionELBO):
    """Each particle compared with the mean of the others: Kool et al. (2019).

    Args:
        num_particles: K, at least 2.
        credit: see `ScoreFunctionELBO`, as all that follow.
        kl_warmup: steps over which the weight of the KL term rises.
        entropy_bonus, entropy_bonus_steps, entropy_bonus_final: weight of the guide's entropy.
        max_plate_nesting: see `SampledObjective`.

    Raises:
        UsageError: as `ScoreFunctionELBO` does.
    """

    name = "rloo"

    def __init__(
        self,
        num_particles: int = 2,
        *,
        credit: Credit = "causal",
        kl_warmup: int = 0,
        entropy_bonus: EntropyBonus | float = 0.0,
        entropy_bonus_steps: int = 0,
        entropy_bonus_final: float = 0.1,
        max_plate_nesting: float = float("inf"),
    ):
        super().__init__(
            num_particles,
            credit=credit,
            baseline="leave-one-out",
            kl_warmup=kl_warmup,
            entropy_bonus=entropy_bonus,
            entropy_bonus_steps=entropy_bonus_steps,
            entropy_bonus_final=entropy_bonus_final,
            max_plate_nesting=max_plate_nesting,
        )
