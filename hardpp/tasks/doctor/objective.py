"""The doctor of objectives: `hardpp check objective`."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import get_args

import pyro
import torch
from pydantic import ValidationError
from torch import nn

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective, SurrogateObjective
from hardpp.tasks import catalogue
from hardpp.tasks.doctor import objective_data, objective_values
from hardpp.tasks.doctor.findings import Check, Finding, Skip, examine
from hardpp.tasks.doctor.objective_programs import pair
from hardpp.tasks.doctor.objective_values import Looked, accepted, draws_together
from hardpp.tasks.objectives import ObjectiveSpec, build, options_of
from hardpp.types import Need, Prediction

BOUNDS = ("elbo", "iw", "exact", "none")


def check_objective(objective: str | type[SurrogateObjective]) -> list[Finding]:
    """Looks an objective over on programs whose exact answers are known; a finding or more for each check.

    Args:
        objective: a name of `hardpp objectives`, `package.module:Class`, or the class itself.

    Raises:
        UsageError: there is no such objective, or it cannot be made.
    """
    spec = ObjectiveSpec(objective) if isinstance(objective, type) else catalogue.objective_spec(objective)

    def make(particles: int | None) -> SurrogateObjective:
        given = {} if particles is None else {"particles": particles}
        made = build(spec, {**spec.settings, **given})
        for part in vars(made).values():
            if isinstance(part, nn.Module):
                part.double().eval()
        return made

    with torch.random.fork_rng(devices=[]), pyro.validation_enabled(False):
        made = make(None)
        takes = "particles" in options_of(spec).model_fields
        if takes and not draws_together(made):
            made = make(max(getattr(made, "least_particles", 1), 2))
        looked = Looked(made, make, takes)
        return examine(replace(looked, random=_is_random(looked)), CHECKS)


# What fails is found by the checks.
def _is_random(looked: Looked) -> bool:
    with suppress(Exception):
        return not looked.together and objective_data.has_own_numbers(looked)
    return False


def _declared(looked: Looked) -> Iterator[str]:
    objective = looked.objective
    for name, words in (("bound", BOUNDS), ("prediction", get_args(Prediction))):
        if getattr(objective, name) not in words:
            yield f"{name} is {getattr(objective, name)!r}, and one of {', '.join(words)} is wanted"
    for name in ("unbiased", "trains_guide"):
        if not isinstance(getattr(objective, name), bool):
            yield f"{name} is {getattr(objective, name)!r}, and True or False is wanted"
    if unheard := sorted(set(objective.needs) - {*get_args(Need)}):
        yield f"needs {', '.join(map(repr, unheard))}, which no model family knows: see hardpp.types.Need"


def _particles(looked: Looked) -> Iterator[str]:
    if not (isinstance(looked.objective, SampledObjective) and looked.takes_particles):
        raise Skip("it takes no number of particles")
    least = looked.objective.least_particles
    try:
        fewer = looked.make(least - 1)
        yield f"{fewer.num_particles} particles are taken, and at least {least} are declared: refuse fewer"
    except (UsageError, ValidationError):  # by itself, or by the schema of options
        pass
    try:
        fewest = looked.make(least)
    except UsageError as error:
        yield f"{least} particles are enough, as least_particles has it, and they are refused: {error}"
        return
    for data in accepted(looked):
        bound = fewest.estimate(*pair(looked.states), data).bound
        if not bool(bound.isfinite().all()):
            yield f"with {least} particles, the fewest that it declares, its bound is {bound.tolist()}"


CHECKS: list[Check[Looked]] = [
    Check("declared", "it says what it is in words that are known", _declared),
    *objective_data.CHECKS,
    Check("particles", "fewer particles than it needs are refused", _particles, ("estimate",)),
    *objective_values.CHECKS,
]
