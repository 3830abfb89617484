"""Semi-amortised refinement: a guide whose probabilities are improved for each datum by a few steps.

    log q_0 = what the guide says,      q_{i+1} prop. to q_i exp(rate dL / dm(q_i)),      i = 0 .. steps - 1

with L the bound of the datum and m the probabilities of the latent. It is gradient ascent on the bound in the
geometry of probabilities (natural gradient): the gradient in the logits, divided by the probability. On the
exact bound of latents that are independent in the posterior no step goes down while the rate is at most 1,
and one step with rate 1 is the exact posterior. Meanwhile networks are in evaluation mode, and no parameter
gets a gradient.

In training the gradient of log q at the refined probabilities goes to the guide's networks as it stands. That
the steps depend on where they began is left out, so this approximates Kim et al., who differentiate through
the steps. The model's part of the bound keeps its gradient.

Source: Kim, Wiseman, Miller, Sontag and Rush (2018), Semi-Amortized Variational Autoencoders; Hoffman, Blei,
Wang and Paisley (2013), Stochastic Variational Inference, for natural gradients.
Shapes: ... = plates of a site, S values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.nn import PyroModule
from pyro.poutine.util import site_is_subsample
from torch import Tensor, nn

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.guides.changed_prior import Changed, with_logits
from hardpp.nn.modes import evaluating

FLOOR = -60.0  # nats of a possible value at least, else its gradient is zero in float32 for good
# A model, a guide and what both take -> the sum of the bounds of all data in nats, with its gradient.
Bound = Callable[..., Tensor]


class Refined(PyroModule):
    """Another guide, refined as above.

    Args:
        guide: a guide whose latents are categorical and do not depend on one another.
        model: the model.
        bound: what is to be raised, such as the surrogate of `hardpp.inference.EnumeratedELBO`.
        steps: how many; 0 leaves the guide as it is.
        rate: of each step, above 0 and at most 1.

    Raises:
        UsageError: a number of steps below 0, or such a rate; when it runs, another guide.
    """

    def __init__(self, guide: nn.Module, model: nn.Module, bound: Bound, steps: int, rate: float = 1.0):
        super().__init__()
        if steps < 0 or not 0 < rate <= 1:
            raise UsageError(f"steps are at least 0 and a rate is above 0 and at most 1, not {steps}, {rate}")
        if getattr(guide, "joined_plate", None) is not None:
            raise UsageError("only a guide whose latents do not depend on one another can be refined")
        self.guide, self.model, self.bound = guide, model, bound
        self.steps, self.rate = steps, rate
        self.max_plate_nesting = getattr(guide, "max_plate_nesting", None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the guide with refined probabilities."""
        if self.steps == 0:
            return self.guide(*args, **kwargs)
        with sites.aside(), evaluating(self.model), evaluating(self.guide):
            refined = self.refined_logits(*args, **kwargs)
        with _given(refined, through=True):
            return self.guide(*args, **kwargs)

    def refined_logits(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Refined log-probabilities (..., S) of every latent, without gradient."""
        with torch.no_grad():
            trace = poutine.trace(self.guide).get_trace(*args, **kwargs)
            logits = {
                name: with_logits(site, lambda _, own: own).logits
                for name, site in trace.nodes.items()
                if site["type"] == "sample" and not site["is_observed"] and not site_is_subsample(site)
            }
        for _ in range(self.steps):
            logits = {name: _raised(each) for name, each in logits.items()}
            with torch.enable_grad():
                leaves = {name: each.detach().requires_grad_() for name, each in logits.items()}
                total = self.bound(self.model, _At(self.guide, leaves), *args, **kwargs)
                gradients = torch.autograd.grad(total, list(leaves.values()))
            logits = {
                name: _improved(leaves[name].detach(), gradient, self.rate)
                for name, gradient in zip(leaves, gradients, strict=True)
            }
        return logits


def _raised(logits: Tensor) -> Tensor:
    possible = logits > -torch.inf
    return logits.clamp_min(FLOOR).masked_fill(~possible, -torch.inf).log_softmax(-1)


def _improved(logits: Tensor, gradient: Tensor, rate: float) -> Tensor:
    probability = logits.exp()
    natural = gradient / probability.clamp_min(torch.finfo(logits.dtype).tiny)
    return (logits + rate * natural.where(probability > 0, 0.0)).log_softmax(-1)


class _At(nn.Module):
    """A guide at other log-probabilities."""

    def __init__(self, guide: nn.Module, logits: Mapping[str, Tensor]):
        super().__init__()
        self.guide, self.logits = guide, logits
        self.max_plate_nesting = getattr(guide, "max_plate_nesting", None)
        self.training = guide.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with _given(self.logits, through=False):
            return self.guide(*args, **kwargs)


# Puts log-probabilities in place of a guide's; with `through` their gradient is the guide's own.
def _given(logits: Mapping[str, Tensor], *, through: bool) -> Changed:
    def given(site: str, own: Tensor) -> Tensor:
        if not through:
            return logits[site]
        possible = own > -torch.inf
        own = own.where(possible, 0.0)
        return (logits[site] + (own - own.detach())).masked_fill(~possible, -torch.inf).log_softmax(-1)

    return Changed(given)
