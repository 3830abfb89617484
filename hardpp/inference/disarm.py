"""Antithetic pairs of particles for two-valued latents.

    b = 1[u < p],   b~ = 1[1 - u <= p],   u ~ U(0, 1),   p = sigma(a) = q(b = 1)
    gradient = mean over pairs of  1/2 (f(b) - f(b~)) c grad a  +  1/2 grad (log p(b) + log p(b~)),
    c = (-1)^b~ 1[b != b~] sigma(|a|)

with f the latent's return, what the program adds to log p - log q from it on. As (-1)^b~ grad a =
grad log q(b) - grad log q(b~) where b != b~, this is leave-one-out in a pair, the score of every element
weighed by sigma(|a|) 1[b != b~], and is computed as such.

Both members must have the same a, so a latent is coupled only if its logits depend on no draw: all of
them in a factorised guide, the first of an autoregressive one. Other latents are independent and their
scores have weight 1. Each member follows q given its own past, so any guide gets an unbiased gradient.

With one latent an instance the gradient's second moment is max(p, 1 - p) times that of leave-one-out.
With several, the pair also differs in latents that do not matter: mostly less than is gained, not always.

Sources: Dong, Mnih and Tucker (2020), DisARM; Yin et al. (2020), U2G, the same estimator.
Shapes: K particles, of which k and k + K/2 are a pair; I instances, N stages.
"""

from copy import copy
from typing import Any, Unpack

import torch
from pyro.distributions.torch_distribution import MaskedDistribution
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent

from hardpp.errors import UsageError
from hardpp.inference.objective import PlateOptions, SampledObjective
from hardpp.inference.weights.model_guide_match import replayed
from hardpp.inference.weights.sample_sites import Site, sample_sites
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import suffix_sums
from hardpp.types import Program


class DisARM(SampledObjective):
    """The evidence lower bound, its two-valued guide latents drawn in antithetic pairs.

    Args:
        num_particles: K, how many draws a datum gets, an even number: K/2 pairs.
    """

    name = "disarm"
    bound = "elbo"
    draws_together = True

    def __init__(self, num_particles: int = 2, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)
        if num_particles % 2:
            raise UsageError(f"disarm draws pairs: it needs an even number of particles, got {num_particles}")

    def handlers(self, nesting: int) -> Handlers:
        pairs = AntitheticPairs(self.num_particles // 2, nesting)

        def score(model: Program, trace: Trace) -> Program:
            pairs.weigh_scores(sample_sites(trace))
            return replayed(model, trace)

        return {"guide": pairs, "score": score}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        log_w = (table.log_p - table.log_q).detach()  # (K, *I, N)
        returns = suffix_sums(log_w)
        signal = returns - returns.roll(self.num_particles // 2, 0)  # against the other of the pair
        pathwise = table.log_p - (table.log_q - table.score)
        sound, none = table.sound.unsqueeze(-1), signal.new_zeros(())
        surrogate = pathwise.where(sound, none) + table.score * signal.where(sound, none)
        surrogate = surrogate.sum((0, -1)) / self.num_particles
        return log_w.sum(-1).mean(0), surrogate


class AntitheticPairs(Messenger):
    """Draws the two-valued latents of a guide in antithetic pairs, if their logits depend on no draw.

    It belongs inside the particles, where such a latent has no dim of them.

    Attributes:
        certainty: sigma(|a|) of every coupled site by name, (1, *plates, *events).
    """

    def __init__(self, pairs: int, nesting: int):
        super().__init__()
        self.pairs, self.nesting = pairs, nesting
        self.certainty: dict[str, Tensor] = {}

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        element = fn
        while isinstance(element, Independent | MaskedDistribution):
            element = element.base_dist
        binary = isinstance(element, Bernoulli)
        if not (binary or (isinstance(element, Categorical) and element.logits.shape[-1] == 2)):
            return
        p = element.probs.detach() if binary else element.probs.detach()[..., 1]
        dims = self.nesting + len(fn.event_shape)
        if msg["is_observed"] or (p.dim() > dims and len(p) > 1):
            return
        p = p.to(torch.promote_types(p.dtype, torch.float32)).reshape((1,) * (1 + dims - p.dim()) + p.shape)
        self.certainty[msg["name"]] = torch.maximum(p, 1 - p)
        if not msg["done"]:
            u = torch.rand((self.pairs, *p.shape[1:]), dtype=p.dtype, device=p.device)
            bits = torch.cat([u < p, 1 - u <= p])  # so that p = 0 and p = 1 are certain
            msg["value"], msg["done"] = bits.to(p.dtype if binary else torch.int64), True

    def weigh_scores(self, sites: dict[str, Site]) -> None:
        """Weighs the scores of what was drawn in pairs by sigma(|a|) 1[b != b~]; refuses a guide without."""
        if not self.certainty:
            drawn = ", ".join(f"{name!r} ({type(site['fn']).__name__})" for name, site in sites.items())
            raise UsageError(f"disarm couples two-valued latents, and the guide draws {drawn or 'nothing'}")
        for name, certainty in self.certainty.items():
            value = sites[name]["value"]
            sites[name]["fn"] = _weighed(sites[name]["fn"], certainty * (value != value.roll(self.pairs, 0)))


# The same log-probabilities, their gradients weighed by element.
def _weighed(fn: Any, weight: Tensor) -> Any:
    def log_prob(value: Tensor) -> Tensor:
        terms: Tensor = fn.log_prob(value)
        return terms.detach() + weight * (terms - terms.detach())

    out = copy(fn)
    if isinstance(fn, Independent):
        out.base_dist = _weighed(fn.base_dist, weight)
    else:
        out.log_prob = log_prob
    return out
