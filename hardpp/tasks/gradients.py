"""Every objective's gradient on the same programs and batch, beside the exact one."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyro
from torch import Tensor, nn

from hardpp.config import RunConfig
from hardpp.diagnostics.gradients import (
    GradientStatistics,
    examine,
    fit_modules,
    parameter_groups,
    surrogate_gradient,
)
from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.catalogue import objective_spec
from hardpp.tasks.family import Family, Programs
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, build, options_of, with_settings

FITTING = 200  # steps in which a learned baseline may get to know the run's programs


def measured_objectives(
    family: Family, config: RunConfig, names: Sequence[str] | None, particles: int | None
) -> dict[str, Callable[[], SurrogateObjective]]:
    """How to make each objective: the run's own with its options, others with those of the command line.

    Args:
        family: of the run.
        config: of the run.
        names: of objectives; None: all on offer.
        particles: how many for all that draw some; None: as many as these options say.

    Raises:
        UsageError: one of the names is not on offer.
    """

    def make(name: str, spec: ObjectiveSpec) -> SurrogateObjective:
        options = dict(config.inference) if name == config.objective else {}
        if particles is not None and "particles" in options_of(spec).model_fields:
            options["particles"] = particles
        baseline = family.recommended(config.data.name).single_particle_baseline
        return build(spec, with_settings(spec, options, baseline))

    specs = {name: objective_spec(name) for name in names or OBJECTIVES}
    return {name: partial(make, name, spec) for name, spec in specs.items()}


def compare_gradients(
    programs: Programs,
    batch: Any,
    objectives: Mapping[str, Callable[[], SurrogateObjective]],
    *,
    draws: int,
    seed: int,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One row an objective and group of parameters (the model's, and the guide's own).

    Bias is measured where the exact gradient of the objective's own bound is known: the enumerated ELBO
    or the enumerated marginal. `cosine` is that of the mean gradient with the gradient of log p(y) for the
    model's parameters, and with that of the exact ELBO for the guide's. Where the programs have no sum over
    their latents these, and the gap, are None.

    Args:
        programs: model and guide.
        batch: what the programs take, on their device.
        objectives: name -> what makes the objective, and may refuse to.
        draws: how often each is drawn.
        seed: of the draws.
        report: told in a few words what is going on, and which objective refuses these programs.

    Raises:
        UsageError: every objective refuses them.
    """
    model, guide = programs
    groups = parameter_groups(model, guide)
    exact = {}
    for bound, kind in (("exact", ExactMarginal), ("elbo", EnumeratedELBO)):
        try:
            exact[bound] = surrogate_gradient(kind(), model, guide, (batch,), groups)
        except UsageError as error:
            report(f"no exact gradient of the bound {bound!r}: {error}")
    log_p = float(exact["exact"][0].bound.mean()) if "exact" in exact else None
    toward = {
        group: exact[bound][1].get(group) if bound in exact else None
        for group, bound in (("model", "exact"), ("guide", "elbo"))
    }
    rows = []
    for name, make in objectives.items():
        try:
            objective = make()
            pyro.set_rng_seed(seed)
            loss = partial(objective.differentiable_loss, model, guide, batch)
            with pyro.validation_enabled(True):
                loss()
            fit_modules(objective, loss, FITTING)
            target = exact[objective.bound][1] if objective.bound in exact else None
            found = examine(objective, model, guide, (batch,), groups, draws=draws, target=target)
        except UsageError as error:
            report(f"{name}: {error}")
            continue
        report(f"{name}: {draws} draws of {1e3 * found.seconds:.1f} ms")
        for group, statistics in found.groups.items():
            if group == "guide" and not objective.trains_guide:
                continue
            rows.append(
                {
                    "objective": name,
                    "parameters": group,
                    "gap": None if log_p is None else log_p - found.bound,
                    "ess": found.ess,
                }
                | _figures(statistics, toward[group], found.seconds)
            )
    if not rows:
        raise UsageError(f"no objective of {', '.join(objectives)} can train these programs")
    return rows


def _figures(found: GradientStatistics, toward: Tensor | None, seconds: float) -> dict[str, Any]:
    cosine = None
    if toward is not None and found.norm:
        cosine = float(nn.functional.cosine_similarity(found.mean, toward.double(), dim=0))
    return {
        "norm": found.norm,
        "bias^2": found.squared_bias,
        "+-": found.squared_bias_error,
        "cosine": cosine,
        "variance": found.variance,
        "snr": found.signal_to_noise,
        "ms": 1e3 * seconds,
        "variance x s": found.variance * seconds,
    }
