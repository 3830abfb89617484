"""Soft attention as inference: every categorical latent is at its expected value.

A handler outside the program turns an index into weights over its values, so the program computes
log p(y | E[z]) and nothing is random any more. That bounds nothing (Deng et al. 2018, proposition 1, say how
far it may be from log p(y)).

Source: Deng et al. (2018), section 2.1 (soft attention) and equation 1 (its use as a baseline).
Shapes: K particles, ... = plates, S values of a latent.
"""

from typing import Any, Unpack

import pyro.distributions as dist
import torch
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.tabulate import Weighing
from hardpp.inference.weights.weigh import weigh
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import Prediction, Program


class ExpectedLatents(Messenger):
    """Sets every categorical latent of a program to its expected value, weights (..., S).

    Without draws the latent carries no probability of its own. With a guide's trace the guide's
    draws come first, as one-hot weights that carry their log-probability, and the expected value
    follows as one more particle: (K + 1, ..., S), so that one run of the program scores both. That particle
    is for comparison: an observation whose distribution has a method `last_constant` is told that nothing
    is learnt from it.
    """

    def __init__(self, draws: Trace | None = None, plates: int = 0):
        super().__init__()
        self.draws, self.plates = draws, plates

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if msg["is_observed"]:
            if self.draws is not None and len(fn.batch_shape) == self.plates + 1:
                msg["fn"] = fn.last_constant(1) if hasattr(fn, "last_constant") else fn
            return
        if site_is_subsample(msg):
            if self.draws is not None and msg["name"] in self.draws:  # the data the draws belong to
                msg["value"], msg["done"] = self.draws.nodes[msg["name"]]["value"], True
            return
        if not isinstance(fn, torch.distributions.Categorical):
            raise UsageError(
                f"site {msg['name']!r} is {type(fn).__name__}: only a Categorical has an expected value"
            )
        value = fn.probs  # (..., S)
        log_density = value.new_zeros(value.shape[:-1])
        if self.draws is not None:
            if msg["name"] not in self.draws:
                raise UsageError(f"the model's latent site {msg['name']!r} is missing in the guide")
            index = self.draws.nodes[msg["name"]]["value"]
            index = index.reshape((1,) * (self.plates + 1 - index.dim()) + index.shape)  # (K, ...)
            values = torch.arange(value.shape[-1], device=index.device)
            hard = (index.unsqueeze(-1) == values).to(value.dtype)  # (K, ..., S); one_hot would ask the host
            # After earlier latents fn has K + 1 rows of its own, the last given their expected values.
            expected = value.detach().reshape((1,) * (self.plates + 2 - value.dim()) + value.shape)[-1:]
            value = torch.cat([hard, expected.expand_as(hard[:1])])
            scores = fn.log_prob(torch.cat([index, index[-1:]]))  # (K + 1, ...)
            log_density = torch.cat([scores[:-1], torch.zeros_like(scores[:1])])
        msg["fn"] = dist.Delta(value, log_density=log_density, event_dim=1)
        msg["value"], msg["done"] = value, True
        msg["is_observed"] = self.draws is None


class SoftAttention(SampledObjective):
    """log p(y | E[z]): deterministic, and no bound on log p(y); the guide is not used."""

    name = "soft"
    needs = frozenset({"latents", "relaxable"})
    unbiased = False
    trains_guide = False
    prediction: Prediction = "expected"

    def __init__(self, **options: Unpack[PlateOptions]):
        super().__init__(**options)

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        nesting = self.nesting.of(model, None, args, kwargs)
        expected, nothing = ExpectedLatents()(model), lambda *args, **kwargs: None  # a guide without latents
        return weigh(
            expected, nothing, 1, args, kwargs, how=Weighing(nesting, self.data_plate, additive=True)
        )

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        log_p = table.log_p.sum(-1).squeeze(0)  # (*I)
        return log_p.detach(), log_p
