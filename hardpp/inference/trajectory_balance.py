"""Trajectory balance: the guide learns that log w is the same for every draw, the model from the draws.

    phi     minimise  mean_k (log p(y, z[k]) - log q(z[k]) - log Z)^2 / 2,   z[k] ~ q~, detached
    theta   sum_k wn[k] grad log p(y, z[k]),  as reweighted wake-sleep (`hardpp.inference.wake_sleep`)

Where q is the posterior log w is log p(y) at every z, so the loss is zero for draws of any distribution:
draws of a flatter proposal q~ need no weights in the phi-term. Two ways to log Z:

    "mean"      the mean of log w over the particles; the loss is then half its unbiased variance. On
                draws of q its gradient is that of the ELBO with a leave-one-out baseline.
    "learned"   one number for all instances, fitted by the same loss: right where log p(y) is one
                number too, as for a single datum; otherwise a constant baseline, and biased off policy.

An instance with an impossible particle has no phi-term, and one with no possible particle no gradient at all.

Source: Malkin, Jain, Bengio, Sun and Bengio (2022), Trajectory Balance, equation 14; Richter, Boustati,
Nuesken, Ruiz and Akyildiz (2020), VarGrad.
Shapes: K particles, I instances.
"""

from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.objective import check_particles
from hardpp.inference.options import SampledOptions
from hardpp.inference.wake_sleep import ProposalObjective, wake_theta
from hardpp.inference.weights.proposals import GUIDE, Proposal
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import log_mean_exp


class TrajectoryBalance(ProposalObjective):
    """The guide by the squared log-ratio, the model by wake-theta without control variates.

    The bound is the importance-weighted one, log mean_k w[k] per instance.

    Args:
        num_particles: K, how many draws a datum gets, at least 2 with "mean".
        log_partition: how log Z is estimated, "mean" or "learned". What is learned is a parameter of the
            objective, in nats, from 0, and wants a learning rate larger than the programs'.
    """

    name = "trajectory-balance"

    def __init__(
        self,
        num_particles: int,
        *,
        log_partition: Literal["mean", "learned"] = "mean",
        proposal: Proposal = GUIDE,
        **options: Unpack[SampledOptions],
    ):
        super().__init__(num_particles, proposal=proposal, **options)
        if log_partition not in ("mean", "learned"):
            raise UsageError(f"log_partition is 'mean' or 'learned', not {log_partition!r}")
        if log_partition == "mean":
            self.least_particles = 2
            check_particles(f"{self.name} with log_partition 'mean'", num_particles, self.least_particles)
        self.log_partition = nn.ParameterList([torch.zeros(())]) if log_partition == "learned" else None

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        return log_mean_exp(table.log_weights), wake_theta(table) - self.imbalance(table)

    def imbalance(self, table: WeightTable) -> Tensor:
        """The loss of the guide, in nats squared, of each instance, (*I)."""
        log_ratio = table.log_p.sum(-1).detach() - table.score.sum(-1)  # (K, *I), against q, not q~
        sound = log_ratio.isfinite().all(0)
        log_ratio = log_ratio.where(sound, 0.0)
        if self.log_partition is None:
            return log_ratio.var(0) / 2
        counts = table.live.any(-1) & sound  # what is masked out has a log-ratio of 0, and no log Z
        return (log_ratio - self.log_partition[0]).where(counts, 0.0).square().mean(0) / 2
