"""Imitation: the model learns to choose as the guide does (supervised attention, behavioural cloning).

    value    = mean_k log p(z[k]),     z[k] ~ q
    gradient = mean_k grad log p(z[k])

Only the model's own terms of its latents count; what it observes teaches nothing, and the guide is not
trained: its draws are detached, reparameterised or not. The value is minus the cross-entropy of the guide and
the model's policy; it bounds nothing, and is largest where the two are equal. A guide may replay what people
or another procedure chose. What the model's own prior draws has a gradient of zero, where noise around
zero would be: of such a guide only what was recorded teaches (`hardpp.guides.replay`).

Source: Elsayed, Kornblith and Le (2019), Saccader, section 3.3 (location pretraining); Harvey, Teng and Wood
(2019), Near-optimal glimpse sequences, section 4.
Shapes: K particles, I instances (see `hardpp.inference.weights.weight_table`).
"""

import torch
from torch import Tensor

from hardpp.inference.objective import SampledObjective
from hardpp.inference.weights.proposals import DetachedDraws
from hardpp.inference.weights.recorded_latents import log_prior_of_recorded
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import Estimate


class Imitation(SampledObjective):
    """The model's probability of what the guide draws; the guide is not trained.

    Args:
        num_particles: K, how many draws a datum gets; one, where the guide always draws the same.
    """

    name = "imitation"
    needs = frozenset({"latents", "policy"})
    bound = "none"
    unbiased = False
    trains_guide = False
    weighs_draws = False
    additive = True

    def handlers(self, nesting: int) -> Handlers:
        return {"draw": DetachedDraws()}

    def estimate_of(self, table: WeightTable) -> Estimate:
        """Of what is observed nothing is left, wherever it is, and of a batch without latents 0."""
        policy = table.log_prior
        if table.guide_is_prior:
            recorded = log_prior_of_recorded(table)
            drawn = (policy - recorded).where(policy.isfinite(), 0.0)
            taught = recorded + drawn.detach() + 0.0 * drawn  # with a gradient, of zero, for an optimiser
            policy = taught.where(policy.isfinite(), policy)
        return super().estimate_of(
            table._replace(log_p=policy, log_q=torch.zeros_like(policy), constant=None)
        )

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        value = table.log_p.sum(-1).mean(0)
        return value.detach(), value.where(table.sound, torch.zeros_like(value))
