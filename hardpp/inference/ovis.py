"""The importance-weighted bound with the control variate that is optimal for many particles.

    control[k] = log mean over j != k of w[j]  -  gamma v[k]  +  (1 - gamma) log(1 - 1/K)

in the estimator of `hardpp.inference.importance_weighted`, with v[k] = w[k] / sum_j w[j]. It joins two
limits: gamma = 1 is for weights that are nearly equal, gamma = 0 for one that outweighs all others, where
the control is the bound without particle k and with nothing in its place.

Particle k has a say in its own control through v[k], so gamma > 0 is biased. The guide's expected
gradient is exactly that of the bound and gamma times that of the wake phase of reweighted wake-sleep:

    grad L  +  gamma E[sum_k v[k] grad log q(z[k])]

so with gamma = 1 it hardly follows the bound: grad L vanishes with K, the wake phase does not. With v[k]
replaced by its mean 1/K, gamma = 1 would be `VIMCO` with control "arithmetic", centred, unbiased.

Source: Liévin et al. (2020), equation 17.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from math import log
from typing import Unpack

from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.importance_weighted import importance_weighted
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import SampledOptions
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import log_mean_of_others


class OVIS(SampledObjective):
    """The importance-weighted bound, each particle judged by the control optimal for many of them.

    Args:
        num_particles: K, at least 2 draws a datum.
        gamma: how much a particle has a say in its own control, between 0 (unbiased) and 1.
    """

    name = "ovis"
    bound = "iw"
    unbiased = False  # of an objective with gamma = 0 it is True
    least_particles = 2

    def __init__(self, num_particles: int, *, gamma: float = 1.0, **options: Unpack[SampledOptions]):
        super().__init__(num_particles, **options)
        if not 0 <= gamma <= 1:
            raise UsageError(f"gamma is between 0 and 1, not {gamma}")
        self.gamma, self.unbiased = gamma, gamma == 0

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        log_weights = table.log_weights
        control = log_mean_of_others(log_weights) - self.gamma * log_weights.softmax(0)
        control = control + (1 - self.gamma) * log(1 - 1 / self.num_particles)
        return importance_weighted(table, control.unsqueeze(-1))
