"""The exact posterior as guide, by enumeration: q(z | x, y) = p(z | x, y), at every latent by itself.

Where the latents of a model are independent given the data, as alignments by attention and the regions of
questions are, that is the posterior, and every bound is log p(y). There is nothing to train, and q is a
constant: log q has no gradient, and an objective trains the model by p alone. Elsewhere it is the product of
the posterior's marginals.

It costs as much as `exact` does, which trains the model just as well. It is there to be compared with: an
objective that is worse with it than with a trained guide has other faults than its guide.

Source: for alignments, Deng et al. (2018), section 3.
Shapes: ... = plates of a site, S values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hardpp import sites
from hardpp.guides.changed_prior import Change, ChangedPrior
from hardpp.nn.modes import evaluating

# A model, a guide that is not used, and what both take -> probabilities (..., S) by site, 0 at masked ones.
Posterior = Callable[..., Mapping[str, Tensor]]


class ExactPosterior(ChangedPrior):
    """The latents of any model whose posterior can be enumerated.

    Args:
        model: the model, used in evaluation mode.
        posterior: computes its posterior, as `hardpp.inference.ExactMarginal` does.
    """

    def __init__(self, model: nn.Module, posterior: Posterior):
        super().__init__(model)
        self.posterior = posterior

    def change(self, *args: Any, **kwargs: Any) -> Change:
        with sites.aside(), evaluating(self.model), torch.no_grad():
            known = self.posterior(self.model, self.model, *args, **kwargs)

        def given(site: str, log_prior: Tensor) -> Tensor:
            counts = known[site].sum(-1, keepdim=True) > 0
            return known[site].log().where(counts, log_prior).detach()

        return given
