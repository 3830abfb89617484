"""The prior with an offset: it begins exactly where the model's prior is, and learns how to depart from it.

    q(z = s | x, y) prop. to p(z = s | x) exp(offset(x, y)[s]),    offset = 0 at the start

A new guide is flat, and a bound with a flat guide makes a prior that has learnt where to look forget it.
This one is, at its first step, the prior to the bit. The prior is a constant of it
(`hardpp.guides.changed_prior`), so what the model learns later of its prior the guide has, too.

Source: an offset that is the log-likelihood is Bayes' rule; for guides that correct a prior, Sønderby et al.
(2016), Ladder Variational Autoencoders.
Shapes: ... = plates of the site, S values.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from hardpp.guides.changed_prior import Change, ChangedPrior


class OffsetPrior(ChangedPrior):
    """A latent of any model as above; the model's other latents are drawn from their prior.

    Args:
        model: the model.
        site: the name of the latent.
        scores: a module whose method `scores` maps what both programs take to (..., S); such as a mean-field
            guide. Its values at impossible positions do not count.
        zero: its parameters that are set to zero, so that all scores are.
    """

    def __init__(self, model: nn.Module, site: str, scores: nn.Module, zero: Iterable[nn.Parameter]):
        super().__init__(model)
        self.site, self.offset = site, scores
        with torch.no_grad():
            for parameter in zero:
                parameter.zero_()

    def change(self, *args: Any, **kwargs: Any) -> Change:
        scores = cast(Any, self.offset).scores(*args, **kwargs)

        def moved(site: str, log_prior: Tensor) -> Tensor:
            if site != self.site:
                return log_prior
            # Subtracting the sum of the prior, which is 0 but for rounding, keeps the prior's own bits.
            total = log_prior + scores.where(log_prior > -torch.inf, 0.0)
            return total - (total.logsumexp(-1, keepdim=True) - log_prior.logsumexp(-1, keepdim=True))

        return moved
