"""The score function alone, with one return for all latents.

Source: Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
Learning.
"""

from torch import nn

from hardpp.inference.control.emission_count import Progress
from hardpp.inference.control.schedules import EntropyBonus
from hardpp.inference.score_function import BaselineName, Credit, ScoreFunctionELBO


class REINFORCE(ScoreFunctionELBO):
    """All of log w as the return of every latent, compared with nothing unless told so: Williams (1992).

    Args:
        num_particles: K.
        credit: see `ScoreFunctionELBO`, as all that follow.
        baseline: what returns are compared with.
        normalize: centre and scale the signal by its running moments.
        progress: for the temporal baseline.
        kl_warmup: steps over which the weight of the KL term rises.
        entropy_bonus, entropy_bonus_steps, entropy_bonus_final: weight of the guide's entropy.
        max_plate_nesting: see `SampledObjective`.

    Raises:
        UsageError: as `ScoreFunctionELBO` does.
    """

    name = "reinforce"

    def __init__(
        self,
        num_particles: int = 1,
        *,
        credit: Credit = "global",
        baseline: BaselineName | nn.Module | None = None,
        normalize: bool = False,
        progress: Progress | None = None,
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
            progress=progress,
            kl_warmup=kl_warmup,
            entropy_bonus=entropy_bonus,
            entropy_bonus_steps=entropy_bonus_steps,
            entropy_bonus_final=entropy_bonus_final,
            max_plate_nesting=max_plate_nesting,
        )
