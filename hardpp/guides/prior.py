"""The prior as guide: it draws the latents of any model as the model does, without the observations.

The bound is then E_p[log p(y | z)], and score-function training is hard attention as in Xu et al. (2015): no
inference network is needed.
"""

from typing import Any

from pyro import poutine
from pyro.nn import PyroModule
from pyro.poutine.runtime import Message
from torch import nn


class Prior(PyroModule):
    """q = the model's program without the scores of its observations.

    Objectives that score the model at its own draws run it once and not twice (they see it by `prior_of`). If
    it is run twice, the two runs have independent dropout.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.max_plate_nesting = getattr(model, "max_plate_nesting", None)

    @property
    def prior_of(self) -> nn.Module:
        return self.model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model; only its latent sites are visible to handlers outside."""
        with poutine.block(hide_fn=observed):
            return self.model(*args, **kwargs)


def observed(site: Message) -> bool:
    """Is a site observed?"""
    return site["type"] == "sample" and site["is_observed"]
