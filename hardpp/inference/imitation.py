"""Imitation: the model learns to choose as the guide does (supervised attention, behavioural cloning).

    value    = mean_k log p(z[k]),     z[k] ~ q
    gradient = mean_k grad log p(z[k])

Only the model's own terms of its latents count; what it observes teaches nothing, and the guide is not
trained. The value is minus the cross-entropy of the guide and the model's policy; it bounds nothing, and is
largest where the two are equal. A guide may replay what people or another procedure chose.

Source: Elsayed, Kornblith and Le (2019), Saccader, section 3.3 (location pretraining); Harvey, Teng and Wood
(2019), Near-optimal glimpse sequences, section 4.
Shapes: K particles, I instances (see `hardpp.inference.weights.weight_table`).
"""

import torch
from torch import Tensor

from hardpp.inference.objective import SampledObjective
from hardpp.inference.weights.weight_table import WeightTable


class Imitation(SampledObjective):
    """The model's probability of what the guide draws; the guide is not trained.

    Args:
        num_particles: K, how many draws a datum gets; one, where the guide always draws the same.
    """

    name = "imitation"
    bound = "none"
    unbiased = False
    trains_guide = False
    weighs_draws = False
    additive = True

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        log_prior = table.log_prior
        sound = log_prior.detach().isfinite().all(-1).all(0)
        value = log_prior.sum(-1).mean(0)
        return value.detach(), value.where(sound, torch.zeros((), device=value.device, dtype=value.dtype))
