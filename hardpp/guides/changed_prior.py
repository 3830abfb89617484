"""What guides share that draw the latents of a model as the model does, but with other probabilities.

    z[site] ~ Categorical(change(log p(z[site] | its parents)))

Where the change can learn a posterior by itself the prior is a constant of the guide, computed in evaluation
mode: log q trains the change, and the model is trained as p alone. Elsewhere log q trains the prior, too, as
it has to: with a guide that only follows it, p alone would never learn where to look.

Shapes: ... = plates of a site, S values.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from pyro import poutine
from pyro.nn import PyroModule
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor, nn

from hardpp.distributions.categorical import Categorical
from hardpp.errors import UsageError
from hardpp.guides.prior import observed
from hardpp.nn.modes import evaluating

Change = Callable[[str, Tensor], Tensor]  # site, log prior (..., S) -> normalised log q (..., S)


class ChangedPrior(PyroModule):
    """A guide with the sites and plates of any model whose latents are categorical.

    Subclasses say what is changed.

    Args:
        model: the model.

    Attributes:
        constant: is the prior a constant of the guide, and the model run in evaluation mode?
    """

    constant = True

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.max_plate_nesting = getattr(model, "max_plate_nesting", None)

    def change(self, *args: Any, **kwargs: Any) -> Change:
        """What makes log q of log p at every latent, for what both programs take."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model with other probabilities; only its latent sites are visible to handlers outside.

        Raises:
            UsageError: a latent of the model is not categorical.
        """
        change = self.change(*args, **kwargs)

        def of_prior(site: str, log_prior: Tensor) -> Tensor:
            return change(site, log_prior.detach() if self.constant else log_prior)

        still = evaluating(self.model) if self.constant else nullcontext()
        with still, poutine.block(hide_fn=observed), Changed(of_prior):
            return self.model(*args, **kwargs)


class Changed(Messenger):
    """Changes the log-probabilities of every latent site of a program."""

    def __init__(self, change: Change):
        super().__init__()
        self.change = change

    def _pyro_sample(self, msg: Any) -> None:
        if not (msg["is_observed"] or site_is_subsample(msg)):
            msg["fn"] = with_logits(msg, self.change)


def with_logits(msg: Any, change: Change) -> Categorical:
    """A categorical distribution in place of that of a latent site.

    Raises:
        UsageError: the site's is not categorical.
    """
    if not isinstance(msg["fn"], torch.distributions.Categorical):
        raise UsageError(
            f"this guide changes probabilities of categorical latents, and site {msg['name']!r} is "
            f"{type(msg['fn']).__name__}"
        )
    return Categorical.normalised(change(msg["name"], msg["fn"].logits))
