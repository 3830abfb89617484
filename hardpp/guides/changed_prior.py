"""What guides share that draw the latents of a model as the model does, but with other probabilities.

    z[site] ~ Categorical(change(log p(z[site] | its parents)))

The model is run in evaluation mode, so that its own dropout is no noise of the guide, and its prior is a
constant: log q trains the change, and the model is trained as p alone.

Shapes: ... = plates of a site, S values.
"""

from collections.abc import Callable
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
        model: the model; its parameters are not trained by log q.
    """

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
        with evaluating(self.model), poutine.block(hide_fn=observed), _Changed(change):
            return self.model(*args, **kwargs)


class _Changed(Messenger):
    def __init__(self, change: Change):
        super().__init__()
        self.change = change

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] or site_is_subsample(msg):
            return
        msg["fn"] = with_logits(msg, lambda site, log_prior: self.change(site, log_prior.detach()))


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
