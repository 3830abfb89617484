"""Proposals: draws from the guide, or from a flatter version of it, that are not differentiated through.

    q~ = q                                                        "none"
    q~(z) = softmax(log q(z) / temperature)                       "temperature"
    q~(z) = (1 - mixture) q(z) + mixture / (number of values)     "mixture"

Early in training a guide sees little besides what it already prefers; a flatter q~ explores. It has to
enter the weights, log w = log p - log q~, for E[w] = p(y) holds only of the distribution drawn from.
Values that q gives no probability keep none. Flattening is a handler outside the guide, so guides are
silent about it: each site draws from q~ and still scores q.

Source: Ba, Salakhutdinov, Grosse and Frey (2015) for exploration in hard attention; Hesterberg (1995),
Weighted Average Importance Sampling and Defensive Mixture Distributions.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`), S values of a
latent.
"""

from dataclasses import dataclass
from math import log
from typing import Any, Literal

import pyro.distributions as dist
import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.recorded import Recorded
from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import site_log_prob
from hardpp.inference.weights.stages import side_by_side
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.precision import at_least_single

DRAWN_FROM = "proposal"  # where a site's `infer` keeps q~


@dataclass(frozen=True)
class Proposal:
    """What draws the particles: makes logits of q~ of log-probabilities of q, both (..., S).

    Args:
        proposal: what draws the particles. "none", the guide itself; "temperature" or "mixture", as above.
        temperature: what the proposal "temperature" divides log-probabilities by, at least 1.
        mixture: the share of the uniform distribution in the proposal "mixture". Above 0 and at most 1.
    """

    proposal: Literal["temperature", "mixture", "none"] = "none"
    temperature: float = 2.0
    mixture: float = 0.1

    def __post_init__(self) -> None:
        if self.proposal not in ("temperature", "mixture", "none"):
            raise UsageError(f"proposal is 'temperature', 'mixture' or 'none', not {self.proposal!r}")
        if not self.temperature >= 1:
            raise UsageError(f"a temperature that flattens is at least 1, not {self.temperature}")
        if not 0 < self.mixture <= 1:
            raise UsageError(f"mixture is a share above 0 and at most 1, not {self.mixture}")

    def __call__(self, log_q: Tensor) -> Tensor:
        if self.proposal == "none":
            return log_q
        if self.proposal == "temperature":
            return log_q / self.temperature
        possible = log_q > -torch.inf
        uniform = log(self.mixture) - possible.sum(-1, keepdim=True).to(log_q).log()
        own = log_q + log(1 - self.mixture) if self.mixture < 1 else torch.full_like(log_q, -torch.inf)
        return torch.logaddexp(own, uniform.where(possible, -torch.inf))


GUIDE = Proposal()


class DetachedDraws(Messenger):
    """Detaches what a guide draws, reparameterised or not, as it is drawn, and draws it from q~.

    To be entered around whatever traces the guide: handlers further out may still fix a draw.
    """

    def __init__(self, proposal: Proposal = GUIDE):
        super().__init__()
        self.proposal, self.flatter = proposal, proposal.proposal != "none"
        self.own: dict[str, Any] = {}  # q of the site under way

    def _pyro_sample(self, msg: Any) -> None:
        if not self.flatter or msg["is_observed"] or msg["done"] or site_is_subsample(msg):
            return
        flatter = flattened(msg["name"], msg["fn"], self.proposal)
        msg["infer"] = msg["infer"] | {DRAWN_FROM: flatter}
        self.own[msg["name"]], msg["fn"] = msg["fn"], flatter

    def _pyro_post_sample(self, msg: Any) -> None:
        msg["fn"] = self.own.pop(msg["name"], msg["fn"])
        if not msg["is_observed"] and not site_is_subsample(msg):
            msg["value"] = msg["value"].detach()


def by_proposal(table: WeightTable) -> WeightTable:
    """The table of detached draws: weights against q~, scores of q for every latent."""
    sites, log_q = [latent.guide for latent in table.latents], table.log_q
    if any(DRAWN_FROM in site["infer"] for site in sites):
        drawn = [site | {"fn": site["infer"].get(DRAWN_FROM, site["fn"])} for site in sites]
        terms = [table.layout.place_at(site_log_prob(site, steps=True), site, len(log_q)) for site in drawn]
        log_q = side_by_side([log_q.new_zeros(()), *terms], log_q.shape[:-1])
    return table._replace(log_q=log_q.detach(), score=table.log_q)


def flattened(name: str, fn: Any, proposal: Proposal) -> Any:
    """The same kind of distribution with flatter, detached probabilities of its values.

    Raises:
        UsageError: neither a Categorical nor a Bernoulli is at the bottom of it, and it cannot do it itself.
    """
    if isinstance(fn, Recorded):
        return type(fn)(flattened(name, fn.base, proposal), fn.value, fn.recorded)
    if hasattr(fn, "flattened"):  # steps that depend on one another know how
        try:
            return fn.flattened(proposal)
        except NotImplementedError as error:
            raise UsageError(f"site {name!r} {error}") from error
    if isinstance(fn, StepIndependent):
        return StepIndependent(flattened(name, fn.base_dist, proposal))
    if isinstance(fn, dist.Independent):
        return flattened(name, fn.base_dist, proposal).to_event(fn.reinterpreted_batch_ndims)
    if isinstance(fn, dist.MaskedDistribution):
        return flattened(name, fn.base_dist, proposal).mask(fn._mask)
    if isinstance(fn, torch.distributions.Categorical):
        logits = at_least_single(fn.logits).detach()
        # torch clamps the logit of a probability that was given as zero.
        impossible = (fn.probs == 0) & (fn.logits.exp() > 0)
        return Categorical(logits=proposal(logits.masked_fill(impossible, -torch.inf)))
    if isinstance(fn, torch.distributions.Bernoulli):
        logits = at_least_single(fn.logits).detach()
        both = proposal(torch.nn.functional.logsigmoid(torch.stack([-logits, logits], -1)))
        return dist.Bernoulli(logits=both[..., 1] - both[..., 0])
    raise UsageError(
        f"site {name!r} is {type(fn).__name__}, which has no probabilities to flatten: "
        "a proposal needs Categorical or Bernoulli latents"
    )
