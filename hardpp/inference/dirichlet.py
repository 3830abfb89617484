"""Relaxed alignments: weights drawn from a Dirichlet, and the gradient of the draw itself.

    weights ~ Dirichlet(alpha_q),   alpha = total * probs of the program's Categorical
    value   = log p(y | weights) - KL(Dirichlet(alpha_q) || Dirichlet(alpha_p))

The KL is in closed form. The draw has no formula that could be differentiated, but its distribution
function F has, and holding F(weights; alpha) fixed while alpha moves tells how the weights must move
(implicit reparameterisation): the gradient of the expected value is unbiased. The value itself is not
about the program's discrete latents, which it does not bound.

Deng et al. take alpha = exp(score), so that a score also says how sure it is: large scores, little noise.
A Categorical normalises its scores away and a program is silent about inference, so here the
probabilities say where, and `total`, the pseudo-count sum(alpha), says how sure, the same for every
latent and both programs. As total falls weights become one-hot draws from q; as it grows they become
E[z], soft attention.

The KL is severe: it grows as alpha_p / alpha_q where q is nearly sure that a value is not taken and p is
not. Concentrations are therefore not let below `FLOOR`. Impossible values (padding) are left out: the
Dirichlet lives on the possible ones, and a draw's weight at the others is exactly 0, without a gradient.

Sources: Deng et al. (2018), section 3 (relaxed alignments); for the gradient Jankowiak and Obermeyer
(2018), Pathwise Derivatives Beyond the Reparameterization Trick, whose Dirichlet torch implements, and
Figurnov et al. (2018), Implicit Reparameterization Gradients.
Shapes: ... = particles and plates, S values of a latent.
"""

from typing import Any, Unpack

import pyro.distributions as dist
import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.control.schedules import KLWarmUp
from hardpp.inference.options import PlateOptions
from hardpp.inference.relaxed import RelaxedObjective

FLOOR = 1e-4  # smallest concentration of a possible value; a guess


class ImplicitDirichlet(RelaxedObjective):
    """mean_k log p(y | weights[k]) - sum over latents of KL(Dirichlet(alpha_q) || Dirichlet(alpha_p)).

    Args:
        total: sum of the concentrations of each latent, as a count of draws; 10 is a guess.
    """

    name = "dirichlet"

    def __init__(
        self,
        num_particles: int = 1,
        *,
        total: float = 10.0,
        kl: KLWarmUp | None = None,
        **options: Unpack[PlateOptions],
    ):
        super().__init__(num_particles, kl=kl, **options)
        if not total > 0:
            raise UsageError(f"the total of a Dirichlet's concentrations is positive, got {total}")
        self.total = total

    def noise(self, log_q: Tensor) -> Any:
        alpha = self.concentration(log_q)
        return dist.Dirichlet(alpha.where(alpha > 0, torch.finfo(alpha.dtype).tiny))

    def weights(self, log_q: Tensor, noise: Tensor) -> Tensor:
        weights = noise.where(log_q > -torch.inf, noise.new_zeros(()))
        return weights / weights.sum(-1, keepdim=True)

    def divergence(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        q, p = self.concentration(log_q), self.concentration(log_p)  # infinite where possible values differ
        same = ((q > 0) == (p > 0)).all(-1)
        ones = q.new_ones(())
        a, b = q.where(q > 0, ones), p.where(p > 0, ones)  # where both are 0 nothing is added below
        each = b.lgamma() - a.lgamma() + (q - p) * (a.digamma() - q.sum(-1, keepdim=True).digamma())
        value = q.sum(-1).lgamma() - p.sum(-1).lgamma() + each.sum(-1)
        return value.where(same, q.new_full((), torch.inf))

    def concentration(self, log_probs: Tensor) -> Tensor:
        """alpha (..., S) of log-probabilities: 0 at impossible values, else at least `FLOOR`."""
        alpha = (self.total * log_probs.exp()).clamp(min=FLOOR)
        return alpha.where(log_probs > -torch.inf, alpha.new_zeros(()))
