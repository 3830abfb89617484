"""K-max: a categorical latent keeps its K likeliest values, whose probabilities are made to sum to 1.

    p_K(z) = p(z) / sum over the K likeliest of p        for those, and 0 elsewhere

A model then reads out K source positions only, which is cheaper.

Source: Deng et al. (2018), section 4 and table 2.
Shapes: ... = particles and plates, S values of a latent.
"""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample

from hardpp.distributions.categorical import Categorical
from hardpp.errors import UsageError


class LikeliestValues(Messenger):
    """Runs a program with every categorical latent truncated to its K likeliest values, if it has more."""

    def __init__(self, keep: int):
        super().__init__()
        if keep < 1:
            raise UsageError(f"at least 1 value must be kept, not {keep}")
        self.keep = keep

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if msg["is_observed"] or site_is_subsample(msg):
            return
        if not isinstance(fn, torch.distributions.Categorical):
            raise UsageError(
                f"site {msg['name']!r} is {type(fn).__name__}: only a Categorical can be truncated"
            )
        logits = fn.logits  # (..., S)
        if self.keep < logits.shape[-1]:
            largest, values = logits.topk(self.keep, -1)
            msg["fn"] = Categorical(logits=torch.full_like(logits, -torch.inf).scatter(-1, values, largest))
