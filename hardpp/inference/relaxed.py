"""Objectives that draw latents as weights over their values, by handlers outside the programs.

Weights (..., S) are differentiable where an index (...) is not, so no score function is needed:

    value = mean_k log p(y | weights[k]) - sum over latents of D(q || p),    weights[k] ~ a relaxation of q

with the divergence D in closed form. In a sequential program q and p of a latent depend on the weights
before it, and the gradient runs through them too; programs must take weights where they wrote an index
(`hardpp.nn.attention.attend` does). The value is about the relaxed programs: it bounds nothing on the
discrete ones.

Source: Deng et al. (2018), section 3, where relaxations stand beside the score function.
Shapes: K particles, I instances, ... = particles and plates, S values of a latent.
"""

from typing import Any, Unpack

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.control.schedules import KLWarmUp
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.sample_sites import mask_of
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.precision import log_softmax, wide
from hardpp.types import Program


class RelaxedObjective(SampledObjective):
    """The value above, and its gradient as it stands; a masked latent adds exactly zero to both.

    Subclasses say how weights are drawn and what D is, given normalised log-probabilities (..., S) of
    float32 or wider: minus infinity at impossible values, such as padding. A latent that is masked out is
    pinned to its first value, the only possible one.

    Args:
        kl: schedule of the weight of D in the gradient; the value keeps it at 1.
    """

    needs = frozenset({"latents", "relaxable"})
    unbiased = False
    weighs_draws = False
    additive = True
    checked = False  # a site is not drawn from its own distribution

    def __init__(
        self, num_particles: int = 1, *, kl: KLWarmUp | None = None, **options: Unpack[PlateOptions]
    ):
        super().__init__(num_particles, **options)
        self.kl_weight = kl

    def noise(self, log_q: Tensor) -> Any:
        """The distribution, of batch shape (...), of all that is random about the weights."""
        raise NotImplementedError

    def weights(self, log_q: Tensor, noise: Tensor) -> Tensor:
        """Weights (..., S) made of a draw of the noise: they sum to 1, and are 0 at impossible values."""
        raise NotImplementedError

    def divergence(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        """D(q || p) of every latent, (...), in nats."""
        raise NotImplementedError

    def handlers(self, nesting: int) -> Handlers:
        """Draws weights and scores them: a latent's model term is -D, its guide term 0."""
        drawn = DrawnWeights(self)  # outside the particles: each has noise of its own

        def score(model: Program, trace: Trace) -> Program:
            return ScoredWeights(self, drawn.log_q)(poutine.replay(model, trace=trace))

        return {"draw": drawn, "score": score}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        value = weighed = table.log_p.sum(-1)  # (K, *I)
        if self.kl_weight is not None:
            weighed = self.kl_weight.weighed(value, table.log_prior.sum(-1))
        return value.detach().mean(0), weighed.mean(0)


class DrawnWeights(Messenger):
    """Runs a guide with weights (..., S) in place of its categorical latents, and keeps every log q.

    The noise is a draw like any other: handlers further out may fix it.
    """

    def __init__(self, objective: RelaxedObjective):
        super().__init__()
        self.objective = objective
        self.log_q: dict[str, Tensor] = {}
        self.dtype: dict[str, torch.dtype] = {}

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if not msg["is_observed"] and not site_is_subsample(msg):
            self.log_q[name] = log_probs(msg)
            self.dtype[name] = msg["fn"].logits.dtype
            msg["fn"] = self.objective.noise(self.log_q[name])

    def _pyro_post_sample(self, msg: Any) -> None:
        name = msg["name"]
        if name in self.log_q:
            weights = self.objective.weights(self.log_q[name], msg["value"]).to(self.dtype[name])
            msg["value"], msg["fn"] = weights, dist.Delta(weights, event_dim=1)


class ScoredWeights(Messenger):
    """Gives each latent of a model that is replayed at drawn weights the log density -D(q || p)."""

    def __init__(self, objective: RelaxedObjective, log_q: dict[str, Tensor]):
        super().__init__()
        self.objective, self.log_q = objective, log_q

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if msg["is_observed"] or name not in self.log_q:
            return
        log_q, log_p = self.log_q[name], log_probs(msg)
        if log_q.shape[-log_p.dim() :] != log_p.shape:  # what depends on no weights has no particles
            raise UsageError(
                f"site {name!r} is drawn as weights of shape {tuple(log_q.shape)} by the guide "
                f"but takes {tuple(log_p.shape)} in the model"
            )
        density = -self.objective.divergence(log_q, log_p)
        msg["fn"] = dist.Delta(msg["value"], log_density=density, event_dim=1)


def log_probs(site: Any) -> Tensor:
    """Log-probabilities (..., S) of a Categorical site's values, as `RelaxedObjective` wants them.

    Raises:
        UsageError: the site is not categorical.
    """
    fn = site["fn"]
    if not isinstance(fn, torch.distributions.Categorical):
        raise UsageError(
            f"site {site['name']!r} is {type(fn).__name__}: only a Categorical can be drawn as weights"
        )
    log_p: Tensor = fn.logits
    if log_p.dtype != wide(log_p.dtype):  # torch has normalised them in half precision
        log_p = log_softmax(log_p)
    if "probs" in vars(fn):  # torch clamps the logit of a probability that was given as zero
        impossible = (fn.probs == 0) & (log_p.exp() > 0)
        log_p = log_p.masked_fill(impossible, -torch.inf).log_softmax(-1)
    mask = mask_of(site, log_p.device)
    if mask is None:
        return log_p
    first = log_p.new_full(log_p.shape[-1:], -torch.inf)
    first[0] = 0.0
    return log_p.where(mask.unsqueeze(-1), first)
