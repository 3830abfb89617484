"""The evidence lower bound with the guide's most probable values summed out, and the others sampled.

    bound = sum over z in C of q(z) f(z)  +  (1 - Q) mean_j f(z_j),   f = log p - log q,
    z_j ~ q restricted to the values outside C,   Q = q(C),   C the `top` most probable values

For K = top + m particles that is sum_k w[k] f(z[k]) with w = q(z) for the first and (1 - Q) / m for the
last, and with w held fixed the gradient is

    sum_k w[k] (grad log p(z[k]) + (f(z[k]) - baseline[k]) grad log q(z[k]))

The baseline of a sampled term is the plain mean of f over the K - 1 other particles, that of all summed
terms the average of these. What the former add, the latter take back in expectation, for
sum over C of grad q = -grad (1 - Q).

Source: Liu, Regier, Tripuraneni, Jordan and McAuliffe (2019), Rao-Blackwellized Stochastic Gradients for
Discrete Distributions; with the leave-one-out baseline of Kool et al. (2019).
Shapes: K particles, I instances, N stages, S values of the latent.
"""

from typing import Any, Unpack

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Categorical

from hardpp.errors import UsageError
from hardpp.inference.objective import PlateOptions, SampledObjective
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import mean_of_others

WEIGHT = "weight"  # key of a site's infer: w of every particle, (K, *plates)


class SumAndSample(SampledObjective):
    """The evidence lower bound, the most probable values of a categorical latent summed exactly.

    Each instance has one latent, as alignments in plates of data and steps. If `top` values are all there
    are, value and gradient are those of `EnumeratedELBO`. It pays where few values hold most of the
    probability; under a nearly uniform guide leave-one-out is as good.

    Args:
        num_particles: K, how many values are summed and how many drawn from the others, together.
        top: how many values are summed, fewer than K.
    """

    name = "sum-and-sample"
    needs = frozenset({"latents", "enumerable"})
    bound = "elbo"
    weighs_draws = False
    draws_together = True

    def __init__(self, num_particles: int = 4, *, top: int = 2, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)
        if not 1 <= top < num_particles:
            raise UsageError(f"top is at least 1 and below the {num_particles} particles, got {top}")
        self.top = top

    def handlers(self, nesting: int) -> Handlers:
        return {"guide": TopAndRest(self.num_particles, self.top, nesting)}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        sites = [latent.guide for latent in table.latents]
        if [WEIGHT in site["infer"] for site in sites] != [True]:
            drawn = ", ".join(f"{site['name']!r} ({type(site['fn']).__name__})" for site in sites)
            raise UsageError(
                f"sum-and-sample takes one Categorical latent an instance, the guide draws {drawn}"
            )
        (site,) = sites
        weight = table.layout.place_at(site["infer"][WEIGHT], site, self.num_particles).expand(
            table.values.shape[:-1]
        )  # (K, *I)
        n = min(self.top, site["fn"].logits.shape[-1])
        log_w = (table.log_p - table.log_q).detach()  # (K, *I, N)
        returns = log_w[..., 1:].sum(-1)  # (K, *I), what the latent is credited with
        held_out = mean_of_others(returns)[n:]  # (m, *I)
        baseline = torch.cat([held_out.mean(0).expand(n, *held_out.shape[1:]), held_out])
        terms = table.log_p.sum(-1) + table.score.sum(-1) * (returns - baseline)
        return (weight * log_w.sum(-1)).sum(0), (weight * terms).sum(0)


class TopAndRest(Messenger):
    """Replaces the draws of a guide's first Categorical by its `top` likeliest values and draws of the rest.

    Values without probability (padding) give way to the likeliest one, with weight 0.
    """

    def __init__(self, particles: int, top: int, nesting: int):
        super().__init__()
        self.particles, self.top, self.nesting, self.begun = particles, top, nesting, False

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if self.begun or msg["is_observed"] or not isinstance(fn, Categorical):
            return
        self.begun = True
        log_q = fn.logits.detach().to(torch.promote_types(fn.logits.dtype, torch.float32))
        log_q = log_q.reshape((1,) * (self.nesting + 1 - log_q.dim()) + log_q.shape)  # (*plates, S)
        best = log_q.topk(min(self.top, log_q.shape[-1])).indices  # (*plates, n)
        n, others = best.shape[-1], log_q.scatter(-1, best, -torch.inf)
        value = msg["value"]
        if not msg["done"]:
            noise = others.new_empty((self.particles - n, *others.shape)).exponential_().log()
            value = torch.cat([best.movedim(-1, 0), (others - noise).argmax(-1)])  # (K, *plates)
        q = torch.take_along_dim(log_q.unsqueeze(0), value.unsqueeze(-1), -1).squeeze(-1).exp()
        msg["value"], msg["done"] = value.where(q > 0, value[:1]), True
        rest = others.exp().sum(-1) / (self.particles - n)
        msg["infer"] = {**msg["infer"], WEIGHT: torch.cat([q[:n], rest.expand_as(q[n:])])}
