"""The prior as guide: any model's own latents, drawn before the data are seen.

With it the bound is E_p[log p(y | z)], and score-function training is hard attention as in Xu et
al. (2015): no inference network, and nothing the model does not know at test time.
"""

from typing import Any

from pyro import poutine
from pyro.nn import PyroModule
from pyro.poutine.runtime import Message
from torch import nn


class Prior(PyroModule):
    """q = the model's program with its observations left unscored.

    Objectives that score the model at its own draws run it once and not twice (`prior_of` tells them). Where
    it is run a second time, and drops units out, the two runs drop their own.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.max_plate_nesting = getattr(model, "max_plate_nesting", None)

    @property
    def prior_of(self) -> nn.Module:
        """The model."""
        return self.model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model; only its latent sites are seen from outside."""
        with poutine.block(hide_fn=_observed):
            return self.model(*args, **kwargs)


def _observed(site: Message) -> bool:
    return site["type"] == "sample" and site["is_observed"]
