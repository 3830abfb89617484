"""Gumbel-softmax and straight-through weights: gradients through a discrete draw, all of them biased.

The index argmax(log q + g), g standard Gumbel noise, is a draw from q. Three ways to differentiate it:

    Gumbel-softmax     weights = softmax((log q + g) / temperature)
    straight-through   weights = onehot(z) + soft - [soft],               soft = softmax(log q / temperature)
    ReinMax            weights = onehot(z) + 2 step((onehot(z) + soft) / 2) - 1/2 step(softmax(log q))

with z ~ q, [.] a constant, and step(pi) of value zero and the gradient of a softmax whose value is pi,
d step(pi) = (diag(pi) - pi pi^T) d log q. Gumbel-softmax weights are relaxed in the forward pass too:
hot, they are smooth and far from an index; cold, they are nearly one and their gradients explode. The
other two stay indices, so programs see what they see at test time, and replace the differences
f(i) - f(j) in the exact gradient by a slope: at one end, f'(i), which is exact for a linear f (Euler), or
the mean of both ends, (f'(i) + f'(j)) / 2, which is exact for a quadratic f (Heun), at temperature 1.

Each latent's KL(q || p) is a sum over its values, not a draw, and is differentiated in q and p.

Sources: Jang et al. (2017) and Maddison et al. (2017), Gumbel-softmax; Bengio et al. (2013),
straight-through; Liu et al. (2023), Bridging Discrete and Backpropagation, algorithm 2 (ReinMax);
Deng et al. (2018), section 3, for the analytic KL.
Shapes: ... = particles and plates, S values of a latent.
"""

from typing import Any, Unpack

import pyro.distributions as dist
import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.control.closed_forms import categorical_kl
from hardpp.inference.control.schedules import KLWarmUp, TemperatureSchedule
from hardpp.inference.options import PlateOptions
from hardpp.inference.relaxed import RelaxedObjective


class GumbelSoftmax(RelaxedObjective):
    """mean_k log p(y | weights[k]) - sum over latents of KL(q || p), by a relaxation of the draws.

    Args:
        temperature: of the softmax that is differentiated; towards 0 it becomes an index.
        final_temperature: where an exponential decay of the temperature ends; None for no decay.
        anneal_steps: how many training steps the decay takes; our guess.
        straight_through: indices forwards, backwards the softmax of log q. (Not of log q + g, the
            straight-through Gumbel-softmax, which is biased even for linear functions.)
        reinmax: indices forwards, backwards the second-order estimator; it wants a temperature of 1 or more.
    """

    name = "gumbel"

    def __init__(
        self,
        num_particles: int = 1,
        *,
        temperature: float = 1.0,
        final_temperature: float | None = None,
        anneal_steps: int = 10_000,
        straight_through: bool = False,
        reinmax: bool = False,
        kl: KLWarmUp | None = None,
        **options: Unpack[PlateOptions],
    ):
        super().__init__(num_particles, kl=kl, **options)
        for each in (temperature, final_temperature):
            if each is not None and not each > 0:
                raise UsageError(f"a temperature is positive, got {each}")
        if anneal_steps < 1:
            raise UsageError(f"the temperature is annealed over at least 1 step, got {anneal_steps}")
        if straight_through and reinmax:
            raise UsageError("straight_through and reinmax are two estimators: choose one")
        self.temperature, self.straight_through, self.reinmax = temperature, straight_through, reinmax
        self.schedule: TemperatureSchedule | None = None
        if final_temperature is not None:
            self.schedule = TemperatureSchedule(temperature, final_temperature, anneal_steps)

    def noise(self, log_q: Tensor) -> Any:
        if self.straight_through or self.reinmax:
            return dist.Categorical(logits=log_q)
        return dist.Gumbel(torch.zeros_like(log_q), torch.ones_like(log_q)).to_event(1)

    def weights(self, log_q: Tensor, noise: Tensor) -> Tensor:
        temperature = self.temperature if self.schedule is None else self.schedule()
        if self.straight_through:
            soft = (log_q / temperature).softmax(-1)
            return _one_hot(noise, soft) + (soft - soft.detach())
        if self.reinmax:
            hard, soft = _one_hot(noise, log_q), (log_q.detach() / temperature).softmax(-1)
            return hard + (2 * _step((hard + soft) / 2, log_q) - _step(log_q.detach().exp(), log_q) / 2)
        return ((log_q + noise) / temperature).softmax(-1)

    def divergence(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        return categorical_kl(log_q, log_p)


# Zero in value, (diag(pi) - pi pi^T) d log q in gradient.
def _step(pi: Tensor, log_q: Tensor) -> Tensor:
    possible = log_q > -torch.inf  # minus infinity less itself is no number
    moved = log_q.where(possible, log_q.new_zeros(()))
    share = pi * (moved - moved.detach())
    return share - pi * share.sum(-1, keepdim=True)


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    values = torch.arange(like.shape[-1], device=like.device)
    return (index.unsqueeze(-1) == values).to(like.dtype)  # functional.one_hot would ask the host
