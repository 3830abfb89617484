"""How far a guide is from the exact posterior, datum by datum: KL(q || p(z | y)) = log p(y) - ELBO, in nats.

Both are sums over all latents. A guide whose steps depend on one another (it names a `joined_plate`) cannot
be summed out step by step: its ELBO is the mean of `DRAWS` draws, from a seed of their own.

Shapes: B data.
"""

from typing import Any

import torch
from torch import Tensor

from hardpp.diagnostics.seeds import seeded
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.types import Program

DRAWS = 50  # of a guide that cannot be summed out


class GuideDivergence:
    """What finds log p(y) and the divergence in batch after batch; programs are checked in the first one."""

    def __init__(self) -> None:
        self._exact, self._summed = ExactMarginal(), EnumeratedELBO()
        self._drawn = ScoreFunctionELBO(DRAWS)

    @torch.no_grad()
    def __call__(self, model: Program, guide: Program, batch: Any) -> tuple[Tensor, Tensor]:
        """log p(y) and KL(guide || exact posterior) of each datum, (B,) nats each.

        Raises:
            UsageError: the model cannot be enumerated.
        """
        exact = self._exact.estimate(model, guide, batch).bound
        if getattr(guide, "joined_plate", None) is None:
            elbo = self._summed.estimate(model, guide, batch).bound
        else:
            with seeded(0, exact.device):
                elbo = self._drawn.estimate(model, guide, batch).bound
        for objective in (self._exact, self._summed, self._drawn):
            objective.checked = False
        return exact, exact - elbo
