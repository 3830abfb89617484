"""Proposals: draws from the guide, or from a flatter version of it, that are not differentiated through.

    q~ = q                                                        without a proposal
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

from collections.abc import Callable
from math import log
from typing import Any, Literal, Unpack

import pyro.distributions as dist
import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.distributions.categorical import Categorical
from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.objective import PlateOptions, SampledObjective
from hardpp.inference.weights.sample_sites import steps_of
from hardpp.inference.weights.weigh import weigh
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.precision import at_least_single
from hardpp.types import Program

Proposal = Literal["temperature", "mixture"]
Flatten = Callable[[Tensor], Tensor]  # log-probabilities (..., S) of q to logits of q~

DRAWN_FROM = "proposal"  # where a site's `infer` keeps q~


class ProposalObjective(SampledObjective):
    """An objective over detached draws from the guide, or from a proposal flatter than the guide.

    Args:
        num_particles: K, how many draws a datum gets.
        proposal: what draws the particles. None, the guide itself; "temperature" or "mixture", the q~ above.
        temperature: what "temperature" divides log-probabilities by, at least 1.
        mixture: the share of the uniform distribution in "mixture", above 0 and at most 1.
        **options: see `PlateOptions`.

    Raises:
        UsageError: an unknown proposal, a temperature below 1 or a share outside (0, 1].
    """

    unbiased = False
    bound = "iw"

    def __init__(
        self,
        num_particles: int,
        *,
        proposal: Proposal | None = None,
        temperature: float = 2.0,
        mixture: float = 0.1,
        **options: Unpack[PlateOptions],
    ):
        super().__init__(num_particles, **options)
        if proposal not in (None, "temperature", "mixture"):
            raise UsageError(f"proposal is 'temperature', 'mixture' or None, not {proposal!r}")
        if not temperature >= 1:
            raise UsageError(f"a temperature that flattens is at least 1, not {temperature}")
        if not 0 < mixture <= 1:
            raise UsageError(f"mixture is a share above 0 and at most 1, not {mixture}")
        self.proposal, self.temperature, self.mixture = proposal, temperature, mixture

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        """A table whose `log_q` is that of q~, detached, and whose `score` is log q of every latent."""
        nesting = self.program_nesting(model, guide, args, kwargs)
        draw = DetachedDraws(self._flatten())
        return by_proposal(weigh(model, guide, self.num_particles, args, kwargs, nesting=nesting, draw=draw))

    def _flatten(self) -> Flatten | None:
        if self.proposal == "temperature":
            return lambda log_q: log_q / self.temperature
        if self.proposal == "mixture":
            return lambda log_q: mixed(log_q, self.mixture)
        return None


class DetachedDraws(Messenger):
    """Detaches what a guide draws, reparameterised or not, as it is drawn, and draws it from q~.

    To be entered around whatever traces the guide: handlers further out may still fix a draw.
    """

    def __init__(self, flatten: Flatten | None = None):
        super().__init__()
        self.flatten = flatten
        self.own: dict[str, Any] = {}  # q of the site under way

    def _pyro_sample(self, msg: Any) -> None:
        if self.flatten is None or msg["is_observed"] or msg["done"] or site_is_subsample(msg):
            return
        proposal = flattened(msg["name"], msg["fn"], self.flatten)
        msg["infer"] = msg["infer"] | {DRAWN_FROM: proposal}
        self.own[msg["name"]], msg["fn"] = msg["fn"], proposal

    def _pyro_post_sample(self, msg: Any) -> None:
        msg["fn"] = self.own.pop(msg["name"], msg["fn"])
        if not msg["is_observed"] and not site_is_subsample(msg):
            msg["value"] = msg["value"].detach()


def by_proposal(table: WeightTable) -> WeightTable:
    """The table of detached draws: weights against q~, scores of q for every latent."""
    if not any(DRAWN_FROM in latent.guide["infer"] for latent in table.latents):
        return table._replace(log_q=table.log_q.detach(), score=table.log_q)
    shape = table.log_q.shape[:-1]
    columns = [torch.zeros_like(table.log_q[..., :1])]
    for latent in table.latents:
        site = latent.guide
        term = table.layout.term(site | {"fn": site["infer"].get(DRAWN_FROM, site["fn"])})
        term = term if steps_of(site) is not None else term.unsqueeze(-1)
        columns.append(term.expand(*shape, term.shape[-1]))
    return table._replace(log_q=torch.cat(columns, -1).detach(), score=table.log_q)


def flattened(name: str, fn: Any, flatten: Flatten) -> Any:
    """The same kind of distribution with flatter, detached probabilities of its values.

    Raises:
        UsageError: neither a Categorical nor a Bernoulli is at the bottom of it, and it cannot do it itself.
    """
    if hasattr(fn, "flattened"):  # steps that depend on one another know how
        try:
            return fn.flattened(flatten)
        except NotImplementedError as error:
            raise UsageError(f"site {name!r} {error}") from error
    if isinstance(fn, StepIndependent):
        return StepIndependent(flattened(name, fn.base_dist, flatten))
    if isinstance(fn, dist.Independent):
        return flattened(name, fn.base_dist, flatten).to_event(fn.reinterpreted_batch_ndims)
    if isinstance(fn, dist.MaskedDistribution):
        return flattened(name, fn.base_dist, flatten).mask(fn._mask)
    if isinstance(fn, torch.distributions.Categorical):
        logits = at_least_single(fn.logits).detach()
        # torch clamps the logit of a probability that was given as zero.
        impossible = (fn.probs == 0) & (fn.logits.exp() > 0)
        return Categorical(logits=flatten(logits.masked_fill(impossible, -torch.inf)))
    if isinstance(fn, torch.distributions.Bernoulli):
        logits = at_least_single(fn.logits).detach()
        both = flatten(torch.nn.functional.logsigmoid(torch.stack([-logits, logits], -1)))
        return dist.Bernoulli(logits=both[..., 1] - both[..., 0])
    raise UsageError(
        f"site {name!r} is {type(fn).__name__}, which has no probabilities to flatten: "
        "a proposal needs Categorical or Bernoulli latents"
    )


def mixed(log_q: Tensor, share: float) -> Tensor:
    """log of (1 - share) q + share / (number of values with q > 0), over the last dim."""
    possible = log_q > -torch.inf
    uniform = (log(share) - possible.sum(-1, keepdim=True).to(log_q).log()).where(possible, -torch.inf)
    own = log_q + log(1 - share) if share < 1 else torch.full_like(log_q, -torch.inf)
    return torch.logaddexp(own, uniform)
