"""The prior with a temperature: q(z) prop. to p(z)^(1 / temperature), at every latent by itself.

Above 1 it is flatter than the prior and tries more; below 1 it is sharper. The temperature is one number,
learnt with the bound or fixed. It reads no observation: with `hardpp.guides.prior` it is the guide to begin
with where nothing is known of a posterior. As there, log q trains the model's prior. The model is run once
more for the guide, with dropout of its own.

Source: Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network, for temperatures of a
softmax.
Shapes: ... = plates of a site, S values.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.guides.changed_prior import Change, ChangedPrior


class TemperedPrior(ChangedPrior):
    """The latents of any model with categorical ones, as above.

    Args:
        model: the model.
        temperature: at the start; above 0.
        learned: is it trained?

    Raises:
        UsageError: the temperature is not above 0, or not finite.
    """

    constant = False

    def __init__(self, model: nn.Module, temperature: float = 1.0, *, learned: bool = True):
        super().__init__(model)
        if not 0 < temperature < math.inf:
            raise UsageError(f"a temperature is a finite number above 0, not {temperature}")
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learned)

    def change(self, *args: Any, **kwargs: Any) -> Change:
        sharpness = (-self.log_temperature).exp()

        def tempered(site: str, log_prior: Tensor) -> Tensor:
            possible = log_prior > -torch.inf
            scores = log_prior.where(possible, 0.0) * sharpness  # 0 times minus infinity has no gradient
            return scores.masked_fill(~possible, -torch.inf).log_softmax(-1)

        return tempered
