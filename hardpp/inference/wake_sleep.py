"""Reweighted wake-sleep: the model learns from weighted draws, the guide from them and from dreams.

    wn[k] = softmax_k(log w[k]),  log w = log p(y, z) - log q~(z),  z[k] ~ q~, detached

    wake-theta   sum_k wn[k] grad log p(y, z[k])
    wake-phi     sum_k wn[k] grad log q(z[k])            towards min KL(p(z | y) || q)
    sleep-phi    grad log q(z | x, y'),  z, y' dreamt    towards min E_p[KL(p(z | y') || q)]

q~ is the guide q or a flatter proposal (`hardpp.inference.weights.proposals`). Weights are normalised per
instance, never over a minibatch, which is a collection of inferences and not one. The control variates of
WS-RAM take off what is zero in expectation, the mean score of a distribution under itself:

    wake-theta   sum_k wn[k] grad log p(y | z[k]) + (wn[k] - vn[k]) grad log p(z[k])
    wake-phi     sum_k (wn[k] - q(z[k]) / (K q~(z[k]))) grad log q(z[k])

with vn = softmax_k(log p(z[k]) - log q~(z[k])), the same draws weighted towards the prior. The second is
exactly mean-zero; the first, self-normalised, has a bias of order 1/K, and vn = 1/K where q~ = p(z). An
instance all of whose particles are impossible has the bound -inf and no gradient.

Source: Bornschein and Bengio (2015), Reweighted Wake-Sleep; Le et al. (2019); Ba, Salakhutdinov, Grosse
and Frey (2015), Learning Wake-Sleep Recurrent Attention Models, for the control variates.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from typing import Any, Unpack

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import SampledOptions
from hardpp.inference.weights.dreams import Dreamer, Dreamt, dream, sleep_phi
from hardpp.inference.weights.proposals import GUIDE, DetachedDraws, Proposal, by_proposal
from hardpp.inference.weights.recorded_latents import log_prior_of_recorded
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import log_mean_exp, normalised
from hardpp.types import Estimate, Program


class ProposalObjective(SampledObjective):
    """An objective over detached draws from the guide, or from a proposal flatter than the guide."""

    unbiased = False
    bound = "iw"

    def __init__(self, num_particles: int, *, proposal: Proposal = GUIDE, **options: Unpack[SampledOptions]):
        super().__init__(num_particles, **options)
        self.proposal = proposal

    def handlers(self, nesting: int) -> Handlers:
        return {"draw": DetachedDraws(self.proposal)}

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        """A table whose `log_q` is that of q~, detached, and whose `score` is log q of every latent."""
        return by_proposal(super().weight_table(model, guide, *args, **kwargs))


class ReweightedWakeSleep(ProposalObjective):
    """Wake-theta for the model, insomnia * wake-phi + (1 - insomnia) * sleep-phi for the guide.

    The bound is the importance-weighted one, log mean_k w[k] per instance; without control variates
    wake-theta is its gradient. A parameter that both programs use gets the terms of both, added up. A
    guide that is the model's own prior has no others: with `train_guide=False` that is WS-RAM without an
    inference network.

    Args:
        num_particles: K, at least 2 draws a datum.
        insomnia: the share of wake-phi, from 0 to 1; at 1 nothing is dreamt.
        control_variates: subtract what is zero in expectation from both wake terms, as above.
        train_guide: False leaves out wake-phi and sleep-phi.
        dreamt: puts dreamt observations into the guide's arguments, see
            `hardpp.inference.weights.dreams.dream`; needed where the tensors that the model
            observes are not its arguments.
        dream: draws the whole dream, (model, args, kwargs) -> `hardpp.inference.weights.dreams.Dream`; needed
            where observations depend on one another, as in a teacher-forced program, whose default
            dream is one of single steps given the real symbols before them.
    """

    name = "rws"
    least_particles = 2

    def __init__(
        self,
        num_particles: int,
        *,
        insomnia: float = 1.0,
        control_variates: bool = True,
        train_guide: bool = True,
        proposal: Proposal = GUIDE,
        dreamt: Dreamt | None = None,
        dream: Dreamer | None = None,
        **options: Unpack[SampledOptions],
    ):
        super().__init__(num_particles, proposal=proposal, **options)
        if not 0 <= insomnia <= 1:
            raise UsageError(f"insomnia is between 0 and 1, not {insomnia}")
        if dream is not None and dreamt is not None:
            raise UsageError("dream places what it dreams itself: give either dream or dreamt")
        self.insomnia, self.control_variates, self.trains_guide = insomnia, control_variates, train_guide
        self.dreamt, self.dream = dreamt, dream
        if train_guide and insomnia < 1:
            self.needs = self.needs | {"dreams"}

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        """Bound and surrogate (*I) of the wake terms; `estimate` adds the dream where gradients are on."""
        total = wake_theta(table, self.control_variates)
        if self.trains_guide and self.insomnia > 0:
            total = total + self.insomnia * wake_phi(table, self.control_variates)
        return log_mean_exp(table.log_weights), total

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        estimate = super().estimate(model, guide, *args, **kwargs)
        if "dreams" not in self.needs or not torch.is_grad_enabled():
            return estimate
        dreamer = self.dream
        dreamt = dream(model, args, kwargs, self.dreamt) if dreamer is None else dreamer(model, args, kwargs)
        sleep = (1 - self.insomnia) * sleep_phi(guide, dreamt)
        return estimate._replace(surrogate=estimate.surrogate + sleep)


def wake_theta(table: WeightTable, control_variates: bool = False) -> Tensor:
    """(*I) with the gradient of wake-theta, for a table of detached draws (see `by_proposal`)."""
    log_p = table.log_p.sum(-1)  # (K, *I)
    weights = normalised(table.log_weights)
    total = _weighted(weights, log_p)
    if control_variates:
        log_prior = (table.log_prior - log_prior_of_recorded(table)).sum(-1)  # of what was drawn
        towards_prior = normalised(log_prior.detach() - table.log_q.sum(-1))
        total = total - _weighted(towards_prior.where(weights.sum(0) > 0, 0.0), log_prior)
    return total


def wake_phi(table: WeightTable, control_variates: bool = False) -> Tensor:
    """(*I) with the gradient of wake-phi, for a table of detached draws (see `by_proposal`)."""
    log_q = table.score.sum(-1)  # (K, *I)
    weights = normalised(table.log_weights)
    if control_variates:
        mean = (log_q.detach() - table.log_q.sum(-1)).exp() / len(log_q)
        weights = weights - mean.where(weights.sum(0) > 0, 0.0)
    return _weighted(weights, log_q)


# A particle of weight zero adds nothing, however impossible the model finds it.
def _weighted(weights: Tensor, terms: Tensor) -> Tensor:
    return (weights * terms.where(weights != 0, torch.zeros_like(terms))).sum(0)
