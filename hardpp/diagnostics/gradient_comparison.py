"""Every objective's gradient on the same programs and batch, beside the exact one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyro
from torch import Tensor, nn

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
from hardpp.types import Program

FITTING = 200  # steps in which a learned baseline may get to know the run's programs


def compare_gradients(
    model: Program,
    guide: Program,
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
        model, guide: the programs.
        batch: what the programs take, on their device.
        objectives: name -> what makes the objective, and may refuse to.
        draws: how often each is drawn.
        seed: of the draws.
        report: told in a few words what is going on, and which objective refuses these programs.

    Raises:
        UsageError: every objective refuses them.
    """
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
