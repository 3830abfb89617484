"""The score function with a baseline that learns.

Source: Mnih and Gregor (2014), Neural Variational Inference and Learning in Belief Networks, section 2.3.
"""

from typing import Literal

from torch import nn

from hardpp.inference.control.schedules import EntropyBonus
from hardpp.inference.score_function import Credit, ScoreFunctionELBO


class NVIL(ScoreFunctionELBO):
    """A baseline that is learned along with the programs, and a normalised signal: Mnih and Gregor (2014).

    The guide's expected gradient is right up to one positive factor, that of `normalize`.

    Args:
        num_particles: K.
        credit: see `ScoreFunctionELBO`, as all that follow.
        baseline: "learned", "average" or a module.
        normalize: centre and scale the signal by its running moments.
        kl_warmup: steps over which the weight of the KL term rises.
        entropy_bonus, entropy_bonus_steps, entropy_bonus_final: weight of the guide's entropy.
        max_plate_nesting: see `SampledObjective`.

    Raises:
        UsageError: as `ScoreFunctionELBO` does.
    """

    name = "nvil"
    unbiased = False

    def __init__(
        self,
        num_particles: int = 1,
        *,
        credit: Credit = "causal",
        baseline: Literal["learned", "average"] | nn.Module = "learned",
        normalize: bool = True,
        kl_warmup: int = 0,
        entropy_bonus: EntropyBonus | float = 0.0,
        entropy_bonus_steps: int = 0,
        entropy_bonus_final: float = 0.1,
        max_plate_nesting: float = float("inf"),
    ):
        super().__init__(
            num_particles,
            credit=credit,
            baseline=baseline,
            normalize=normalize,
            kl_warmup=kl_warmup,
            entropy_bonus=entropy_bonus,
            entropy_bonus_steps=entropy_bonus_steps,
            entropy_bonus_final=entropy_bonus_final,
            max_plate_nesting=max_plate_nesting,
        )
