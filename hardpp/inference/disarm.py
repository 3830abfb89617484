"""Antithetic particles for latents of any number of values: drawn from strata, with scores that allow for it.

    u[k] = (r[k] + v[k]) / K,   r a random order of 0 .. K-1,   v[k] ~ U(0, 1),   z[k] = F^-1(u[k])
    gradient = mean_k (f(z[k]) - mean over j != k of f(z[j])) g(z[k])
    g = s - c R y,   y = (1 + c R' A)^-1 A' s,   c = K / (K-1),   s(z) = grad log q(z)

with f the latent's return, what the program adds to log p - log q from it on, A[z, r] how much of value z is
in stratum r, which is [r/K, (r+1)/K), and R[z, r] = A[z, r] / q(z). Each particle follows q, but has a
stratum of its own, so a value is drawn twice only if it is in several strata.

Why g: the mean of leave-one-out is E f(z) (g(z) - g(z')), z and z' any two particles. It is the gradient,
E f(z) s(z), if E[g(z) - g(z') | z] = s(z). For independent particles g = s. Here
P(z, z') = c (q(z) q(z') - sum_r A[z, r] A[z', r]), and the condition reads g + c R A' g = s, solved above.
With two particles and two values all this is DisARM: b = 1[u < p], b~ = 1[1 - u <= p], g = sigma(|a|) s.

Values are laid out by decreasing probability, so that their numbers mean nothing: neighbours in an image or a
sentence have like returns, and in one stratum they would never be compared.

All particles must have the same q, so a latent is coupled only if its logits depend on no draw: all latents
of a factorised guide, the first of an autoregressive one. Each has an order r of its own (a Latin hypercube).
Other latents are independent. As each particle follows q given its own past, any guide gets an unbiased
gradient. Particles also differ in latents that do not matter: mostly less than is gained, not always.

Sources: Dong, Mnih and Tucker (2020), DisARM; Yin et al. (2020), U2G, the same; Dimitriev and Zhou (2021),
CARMS, K particles and more values by a Dirichlet copula, with ratios of probabilities in place of g; McKay,
Beckman and Conover (1979), Latin hypercubes.
Shapes: K particles, I instances, N stages, S values of a latent, ... = particles, plates and events.
"""

from copy import copy
from typing import Any, Unpack

import torch
from pyro.distributions.torch_distribution import MaskedDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent
from torch.nn.functional import logsigmoid, pad

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import mean_of_others
from hardpp.ops.precision import at_least_single
from hardpp.ops.weights import suffix_sums

COUPLED = "coupled"  # key of the infer of a site whose particles were drawn from strata


class DisARM(SampledObjective):
    """The evidence lower bound by leave-one-out, its categorical guide latents drawn antithetically.

    Args:
        num_particles: K, how many draws a datum gets, at least 2.
    """

    name = "disarm"
    needs = frozenset({"latents", "enumerable"})
    bound = "elbo"
    least_particles = 2
    draws_together = True

    def __init__(self, num_particles: int = 2, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)

    def handlers(self, nesting: int) -> Handlers:
        return {"guide": AntitheticDraws(self.num_particles, nesting)}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        sites = [latent.guide for latent in table.latents if not latent.guide["is_observed"]]
        if not any(COUPLED in site["infer"] for site in sites):
            drawn = ", ".join(f"{site['name']!r} ({type(site['fn']).__name__})" for site in sites)
            raise UsageError(f"disarm couples Categorical latents, and the guide draws {drawn}")
        returns = suffix_sums(table.stage_weights)  # (K, *I, N)
        pathwise = table.log_p - table.log_q
        if not table.guide_is_prior:  # whose own score has no mean and would be noise
            pathwise = pathwise + table.score
        signal = returns - mean_of_others(returns)
        sound, none = table.sound.unsqueeze(-1), signal.new_zeros(())
        surrogate = pathwise.where(sound, none) + table.score * signal.where(sound, none)
        surrogate = surrogate.sum((0, -1)) / self.num_particles
        return table.log_weights.mean(0), surrogate


class AntitheticDraws(Messenger):
    """Draws a guide's categorical latents from strata, if their logits depend on no draw, with g as score.

    It belongs inside the particles, where such a latent has no dim of them.
    """

    def __init__(self, particles: int, nesting: int):
        super().__init__()
        self.particles, self.nesting = particles, nesting

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        element = fn
        while isinstance(element, Independent | MaskedDistribution):
            element = element.base_dist
        if msg["is_observed"] or not isinstance(element, Bernoulli | Categorical):
            return
        q, log_q = element.probs.detach().double(), at_least_single(element.logits)
        binary = isinstance(element, Bernoulli)
        if binary:
            q, log_q = torch.stack([1 - q, q], -1), logsigmoid(torch.stack([-log_q, log_q], -1))
        dims = self.nesting + len(fn.event_shape)
        if q.dim() > dims + 1 and len(q) > 1:
            return
        q, log_q = (each.reshape((1,) * (2 + dims - each.dim()) + each.shape) for each in (q, log_q))
        order = q.argsort(dim=-1, descending=True, stable=True)
        upper = q.gather(-1, order).cumsum(-1)
        upper = upper / upper[..., -1:]  # exactly 1 from the last possible value on
        share = shares(upper, self.particles).take_along_dim(order.argsort(-1).unsqueeze(-1), -2)
        msg["fn"] = _scored(fn, debiased_scores(log_q, share))
        msg["infer"] = {**msg["infer"], COUPLED: True}
        if not msg["done"]:
            u = strata(self.particles, upper).unsqueeze(-1)
            place = ((upper <= u) & (upper < 1)).sum(-1, keepdim=True)
            value = order.take_along_dim(place, -1).squeeze(-1)
            msg["value"], msg["done"] = value.to(element.probs.dtype) if binary else value, True


def strata(particles: int, like: Tensor) -> Tensor:
    """Numbers in [0, 1), each uniform, no two of one latent in the same K-th: (1, ..., S) -> (K, ...)."""
    shape = (particles, *like.shape[1:-1])
    order = torch.rand(shape, device=like.device).argsort(0)
    return (order + torch.rand(shape, dtype=like.dtype, device=like.device)) / particles


def shares(upper: Tensor, particles: int) -> Tensor:
    """A of values that end at these cumulative probabilities: (..., S) -> (..., S, K)."""
    lower = pad(upper[..., :-1], (1, 0)).unsqueeze(-1)
    edges = torch.arange(particles + 1, dtype=upper.dtype, device=upper.device) / particles
    return (torch.minimum(upper.unsqueeze(-1), edges[1:]) - torch.maximum(lower, edges[:-1])).clamp(min=0)


def debiased_scores(log_q: Tensor, share: Tensor) -> Tensor:
    """What has the gradient g of every value, (..., S), and 0 at impossible ones.

    Args:
        log_q: log-probabilities (..., S).
        share: A, (..., S, K) in float64.
    """
    K = share.shape[-1]
    q = share.sum(-1, keepdim=True)
    possible = q.squeeze(-1) > 0
    log_q = log_q.where(possible, log_q.new_zeros(()))
    within = share / q.where(q > 0, 1.0)  # R
    c = K / (K - 1)
    system = c * within.mT @ share + torch.eye(K, dtype=share.dtype, device=share.device)
    inverse = torch.linalg.inv_ex(system).inverse  # positive definite; unlike `inv` it asks the host nothing
    y = (inverse @ share.mT).to(log_q.dtype) @ log_q.unsqueeze(-1)
    return log_q - c * (within.to(log_q.dtype) @ y).squeeze(-1)


# The same log-probabilities, with the gradients of `scores`, (1, ..., S).
def _scored(fn: Any, scores: Tensor) -> Any:
    def log_prob(value: Tensor) -> Tensor:
        score = scores.take_along_dim(value.long().unsqueeze(-1), -1).squeeze(-1)
        return fn.log_prob(value).detach() + (score - score.detach())

    out = copy(fn)
    if isinstance(fn, Independent | MaskedDistribution):
        out.base_dist = _scored(fn.base_dist, scores)
    else:
        out.log_prob = log_prob
    return out
