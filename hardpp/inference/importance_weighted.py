"""The importance-weighted bound of K particles, trained by the score function.

    bound    = L = log mean_k w[k],     log w = log p(y, z) - log q(z),     z[k] ~ q
    gradient = sum_k v[k] grad log w[k]  +  sum_k,s (L - control[k, s]) grad log q(z[k, s])

with v[k] = w[k] / sum_j w[j]. Each instance has a bound of its own, and a datum's bound is the sum over
its instances: where steps are independent given the data, that bounds tighter than the weights of whole
sequences would. For K = 1 it is the evidence lower bound.

A control may use anything but what the latent z[k, s] has a say in; then it changes the variance and not
the expectation. VIMCO's are bounds with particle k held out, something else standing in for w[k]:

    geometric    exp of the mean over j != k of log w[j]
    arithmetic   mean over j != k of w[j]
    sequential   k's own past before s, with the mean over j != k of the others' futures from s on
    temporal     k's own past before s, with the mean of the others' futures from where they had
                 emitted as much as k had (`hardpp.ops.leave_one_out`)

pasts and futures being sums of log w over stages. With two particles the first two are the same.
`center` takes 1/K off the control: the mean of v, so that nothing is left where all weights are equal.

Where all other particles are impossible (log w = -inf) no control is subtracted, for there is none; an
instance whose particles are all impossible has the bound -inf and no gradient.

Sources: Burda et al. (2016); Mnih and Rezende (2016); Lawson et al. (2017), equation 7, for the temporal
control (how it enters the bound is not written there: putting equation 6 in its place gives "geometric").
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from typing import Literal, Unpack, get_args

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.control.emission_count import Progress, progress_of
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import SampledOptions
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import (
    held_out_bound,
    log_geometric_mean_of_others,
    log_mean_of_others,
    mean_of_others_at_same_progress,
)
from hardpp.ops.weights import log_mean_exp, normalised, prefix_sums, suffix_sums

Prefix = Literal["none", "prefix"]
HoldOut = Literal["geometric", "arithmetic", "sequential", "temporal"]


class IWAE(SampledObjective):
    """The importance-weighted bound with no particle held out.

    Its gradient has a variance that grows with K: use it for the value, or as what `VIMCO` is measured by.

    Args:
        control: what is subtracted. "none", or "prefix": log mean_k of the weights before the latent's stage.
    """

    name = "iwae"
    bound = "iw"

    def __init__(self, num_particles: int, *, control: Prefix = "none", **options: Unpack[SampledOptions]):
        super().__init__(num_particles, **options)
        if control not in ("none", "prefix"):
            raise UsageError(f"control is 'none' or 'prefix', not {control!r}")
        self.control = control

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        if self.control == "none":
            return importance_weighted(table, table.log_q.new_zeros(()))
        return importance_weighted(table, log_mean_exp(prefix_sums(table.stage_weights)))


class VIMCO(SampledObjective):
    """The importance-weighted bound, each particle judged by a bound it is held out of.

    Args:
        num_particles: K, at least 2 draws a datum.
        control: what stands in for the particle held out. See above.
        center: take 1/K off the control.
        progress: for "temporal": how much each particle has emitted after each latent, given the latents'
            values, see `hardpp.inference.control.emission_count`. By default their cumulative sum.
    """

    name = "vimco"
    bound = "iw"
    least_particles = 2

    def __init__(
        self,
        num_particles: int,
        *,
        control: HoldOut = "sequential",
        center: bool = True,
        progress: Progress | None = None,
        **options: Unpack[SampledOptions],
    ):
        super().__init__(num_particles, **options)
        if control not in get_args(HoldOut):
            names = "'geometric', 'arithmetic', 'sequential' or 'temporal'"
            raise UsageError(f"control is {names}, not {control!r}")
        if progress is not None and control != "temporal":
            raise UsageError(f"progress is of use to control 'temporal' only, not to {control!r}")
        self.control, self.center, self.progress = control, center, progress
        if control == "temporal":
            self.needs = self.needs | {"emission-counts"}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        mean = 1 / self.num_particles if self.center else 0.0
        return importance_weighted(table, self._held_out(table) - mean)

    # The bound without particle k: (K, *I, N), or (K, *I, 1) where all stages have the same.
    def _held_out(self, table: WeightTable) -> Tensor:
        log_weights = table.log_weights
        if self.control == "arithmetic":  # the mean of K weights of which one is the mean of the others
            return log_mean_of_others(log_weights).unsqueeze(-1)
        if self.control == "geometric":
            return held_out_bound(log_weights, log_geometric_mean_of_others(log_weights)).unsqueeze(-1)
        weights = table.stage_weights
        if self.control == "sequential":
            futures = log_geometric_mean_of_others(suffix_sums(weights))
        else:
            futures = mean_of_others_at_same_progress(weights, progress_of(table, self.progress))
        return held_out_bound(log_weights, prefix_sums(weights) + futures)


def importance_weighted(table: WeightTable, control: Tensor) -> tuple[Tensor, Tensor]:
    """Bound and surrogate (*I) of the equation at the top, for a control that broadcasts to (K, *I, N)."""
    log_weights = table.log_weights
    bound = log_mean_exp(log_weights)
    impossible = bound == -torch.inf
    weights = normalised(log_weights)
    ratio = (table.log_p - table.log_q).sum(-1)
    ratio = ratio.masked_fill(log_weights == -torch.inf, 0.0)  # its weight is zero, and 0 * -inf is not
    signal = bound.unsqueeze(-1) - control.masked_fill(control == -torch.inf, 0.0)
    signal = signal.masked_fill(impossible.unsqueeze(-1), 0.0)
    return bound, (weights * ratio).sum(0) + (table.score * signal).sum((0, -1))
