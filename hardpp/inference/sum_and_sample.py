"""The evidence lower bound with the guide's most probable values summed out, and the others sampled.

    bound = sum over z in C of q(z) f(z)  +  (1 - Q) mean_j f(z_j),   f = log p - log q,
    z_j ~ q restricted to the values outside C,   Q = q(C),   C the `top` most probable values

For K = top + m particles that is sum_k w[k] f(z[k]) with w = q(z) for the first and (1 - Q) / m for the
last, and with w held fixed the gradient is

    sum_k w[k] (grad log p(z[k]) + (f(z[k]) - baseline[k]) grad log q(z[k]))

The baseline of a sampled term is the plain mean of f over the K - 1 other particles, that of all summed
terms the average of these. What the former add, the latter take back in expectation, for
sum over C of grad q = -grad (1 - Q).

A guide may give most values no probability (`hardpp.distributions.sparse_categorical`). With n values in the
largest support of a batch, K = n particles, of which n - 1 are summed, are the exact sum: the last one is
drawn from no more than one value. If that is more particles than are allowed, an instance with too large a
support has one draw from its less likely values, and all others are exact.

Sources: Liu, Regier, Tripuraneni, Jordan and McAuliffe (2019), Rao-Blackwellized Stochastic Gradients for
Discrete Distributions; with the leave-one-out baseline of Kool et al. (2019). Correia, Niculae, Aziz and
Martins (2020), Efficient Marginalization of Discrete and Structured Latent Variables via Sparsity, for the
sum over the support.
Shapes: K particles, I instances, N stages, S values of the latent.
"""

from typing import Any, Literal, Unpack

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Categorical

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective, check_particles
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.sample_sites import Site, mask_of
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import mean_of_others

WEIGHT = "weight"  # key of a site's infer: w of every particle, (K, *plates)
SUMMED = "summed"  # key of a site's infer: how many particles come first, whose values are summed

Top = int | Literal["support"]


class SumAndSample(SampledObjective):
    """The evidence lower bound, the most probable values of a categorical latent summed exactly.

    Each instance has one latent, as alignments in plates of data and steps. If no more values have any
    probability than are summed, value and gradient are those of `EnumeratedELBO`. It pays where few values
    hold most of the probability; under a nearly uniform guide leave-one-out is as good.

    Args:
        num_particles: K, how many values are summed and how many drawn from the others, together.
        top: how many values are summed, fewer than K; or "support": all that the guide gives any probability.
            Then K is the largest support in the batch, masked instances aside, and `num_particles`, at
            least 2, is the most that it may be. The host asks the device for it, once a step.
    """

    name = "sum-and-sample"
    needs = frozenset({"latents", "enumerable", "independent"})
    bound = "elbo"
    weighs_draws = False
    draws_together = True

    def __init__(self, num_particles: int = 4, *, top: Top = 2, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)
        if top == "support":
            self.least_particles = 2
            check_particles("a sum over the support", num_particles, self.least_particles)
        elif isinstance(top, str):
            raise UsageError(f"top is a number of values or 'support', not {top!r}")
        elif not 1 <= top < num_particles:
            raise UsageError(f"top is at least 1 and below the {num_particles} particles, got {top}")
        else:
            self.least_particles = top + 1
        self.top = top

    def handlers(self, nesting: int) -> Handlers:
        drawing = TopAndRest(self.num_particles, self.top, nesting)
        return {"guide": drawing, "drawn": drawing.drawn}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        sites = [latent.guide for latent in table.latents if not latent.guide["is_observed"]]
        if [WEIGHT in site["infer"] for site in sites] != [True]:
            raise _refusal(sites)
        (site,) = sites
        weight = table.layout.place_at(site["infer"][WEIGHT], site, len(table.log_q))
        weight = weight.expand(table.values.shape[:-1])  # (K, *I)
        n = site["infer"][SUMMED]
        log_w = (table.log_p - table.log_q).detach()  # (K, *I, N)
        returns = log_w[..., 1:].sum(-1)  # (K, *I), what the latent is credited with
        others = mean_of_others(returns) if len(returns) > 1 else torch.zeros_like(returns)
        held_out = others[n:]  # (m, *I)
        baseline = torch.cat([held_out.mean(0).expand(n, *held_out.shape[1:]), held_out])
        gain = table.log_p - table.log_q  # a guide's factor has a gradient of its own
        gain = gain if table.guide_is_prior else gain + table.score
        terms = gain.sum(-1) + table.score.sum(-1) * (returns - baseline)
        possible = weight > 0  # nothing times -inf is nothing
        counts = log_w.sum(-1).where(possible, 0.0)
        sound = counts.isfinite().all(0)
        terms = terms.where(possible & sound, 0.0)
        return (weight * counts).sum(0), (weight * terms).sum(0)


class TopAndRest(Messenger):
    """Replaces the draws of a guide's one Categorical by its `top` likeliest values and draws of the rest.

    Values without probability (padding) give way to the likeliest one, with weight 0.
    """

    def __init__(self, particles: int, top: Top, nesting: int):
        super().__init__()
        self.particles, self.top, self.nesting = particles, top, nesting
        self.latents: list[Site] = []

    def drawn(self) -> int:
        """How many particles there are, once the guide has run."""
        values = [site["value"] for site in self.latents if WEIGHT in site["infer"]]
        return len(values[0]) if values else self.particles

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if msg["is_observed"] or site_is_subsample(msg):
            return
        self.latents.append(msg)
        if len(self.latents) > 1:
            raise _refusal(self.latents)
        if not isinstance(fn, Categorical):
            return
        log_q = fn.logits.detach().to(torch.promote_types(fn.logits.dtype, torch.float32))
        log_q = log_q.reshape((1,) * (self.nesting + 1 - log_q.dim()) + log_q.shape)  # (*plates, S)
        n, m = self._sizes(msg, log_q)
        best = log_q.topk(n).indices  # (*plates, n)
        others = log_q.scatter(-1, best, -torch.inf)
        value = msg["value"]
        if not msg["done"]:
            wait = others.new_empty((m, *others.shape)).exponential_()
            noise = wait.clamp_min(torch.finfo(wait.dtype).tiny).log()
            value = torch.cat([best.movedim(-1, 0), (others - noise).argmax(-1)])  # (K, *plates)
        q = torch.take_along_dim(log_q.unsqueeze(0), value.unsqueeze(-1), -1).squeeze(-1).exp()
        msg["value"], msg["done"] = value.where(q > 0, value[:1]), True
        rest = others.exp().sum(-1) / m
        weight = torch.cat([q[:n], rest.expand(m, *rest.shape)])
        msg["infer"] = msg["infer"] | {WEIGHT: weight, SUMMED: n}

    # How many values are summed, and how many drawn.
    def _sizes(self, msg: Any, log_q: Tensor) -> tuple[int, int]:
        if self.top != "support":
            n = min(self.top, log_q.shape[-1])
            return n, self.particles - n
        if msg["done"]:
            n = min(len(msg["value"]) - 1, log_q.shape[-1])
            return n, len(msg["value"]) - n
        support, mask = (log_q.exp() > 0).sum(-1), mask_of(msg, log_q.device)
        largest = support.max() if mask is None else support.where(mask, 0).max()
        return int(largest.clamp(1, self.particles)) - 1, 1


def _refusal(sites: list[Site]) -> UsageError:
    drawn = ", ".join(f"{site['name']!r} ({type(site['fn']).__name__})" for site in sites)
    return UsageError(f"sum-and-sample takes one Categorical latent an instance, the guide draws {drawn}")
