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

    The model is run a second time: where it drops units out, the two runs drop their own.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.max_plate_nesting = getattr(model, "max_plate_nesting", None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model; only its latent sites are seen from outside."""
        with poutine.block(hide_fn=_observed):
            return self.model(*args, **kwargs)


def _observed(site: Message) -> bool:
    return site["type"] == "sample" and site["is_observed"]
