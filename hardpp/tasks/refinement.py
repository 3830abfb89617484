"""Guides of any model that need an objective to be computed: refined ones, and the exact posterior."""

from typing import Any

import pyro
from torch import Tensor, nn

from hardpp.guides.exact_posterior import ExactPosterior
from hardpp.guides.refined import Refined
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal


def refined(guide: nn.Module, model: nn.Module, steps: int, rate: float = 1.0) -> Refined:
    """A guide that raises the exact bound of each datum by a few steps on another guide's probabilities.

    It takes the place of that guide anywhere: in an objective, in `evaluate`, for a posterior. Each step
    costs what one estimate of `enum` does.

    Args:
        guide: a guide whose latents are categorical, one by one.
        model: its model.
        steps: how many; 0 leaves the guide as it is.
        rate: of each step, above 0 and at most 1.

    Raises:
        UsageError: see `hardpp.guides.refined.Refined`.
    """
    return Refined(guide, model, _bound, steps, rate)


def posterior_guide(parts: Any) -> nn.Module:
    """The exact posterior of a model of which the parts of a family are."""
    return ExactPosterior(parts.model, _posterior)


# Programs are checked, while Pyro's validation is on, by the objective that is given such a guide. Nothing is
# left out of the bound: what the guide takes to be unlikely is what refinement is for.
def _bound(*args: Any, **kwargs: Any) -> Tensor:
    with pyro.validation_enabled(is_validate=False):
        return EnumeratedELBO(tolerance=0.0).estimate(*args, **kwargs).surrogate


def _posterior(*args: Any, **kwargs: Any) -> dict[str, Tensor]:
    with pyro.validation_enabled(is_validate=False):
        return ExactMarginal(tolerance=0.0).posterior(*args, **kwargs)
