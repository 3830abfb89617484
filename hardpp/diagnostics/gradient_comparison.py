"""The gradients of several objectives on the same programs and batch, beside the exact gradient."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyro
from torch import Tensor, nn

from hardpp.diagnostics.gradients import examine, fit_modules, parameter_groups, surrogate_gradient
from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective

FITTING = 200  # steps in which a learned baseline is fitted to the programs first


def compare_gradients(
    model: nn.Module,
    guide: nn.Module,
    batch: Any,
    objectives: Mapping[str, Callable[[], SurrogateObjective]],
    *,
    draws: int,
    seed: int,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Two rows for each objective: of its gradient for the model's parameters, and for the guide's own.

    Bias is relative to the exact gradient of the bound that the objective has, the enumerated marginal or
    the enumerated ELBO; of an objective that bounds nothing, to the gradients that `cosine` compares with, as
    it stands in for them. So is `mse`, bias^2 + variance, by which one draw is off; where the gradient of a
    bound is not known and the objective is unbiased, it is the variance alone. `cosine` compares the mean
    gradient with the exact one of log p(y) for the model's parameters, and with that of the ELBO for the
    guide's. Where the programs' latents cannot be enumerated these, and `gap`, are None. An objective that
    trains no guide has no second row.

    Args:
        model, guide, batch: the programs and what they take, on their device.
        objectives: name -> a function that makes the objective, and may refuse to.
        draws, seed: how often each estimator is drawn, and from which seed.
        report: told in a few words what is going on, and which objective refuses these programs.

    Raises:
        UsageError: every objective refuses them.
    """
    groups = parameter_groups(model, guide)
    bounds, gradients = {}, {}
    for bound, exact in (("exact", ExactMarginal), ("elbo", EnumeratedELBO)):
        try:
            estimate, gradients[bound] = surrogate_gradient(exact(), model, guide, (batch,), groups)
            bounds[bound] = float(estimate.bound.mean())
        except UsageError as error:
            report(f"no exact gradient of the bound {bound!r}: {error}")
    wanted = {
        group: gradients[bound][group]
        for group, bound in (("model", "exact"), ("guide", "elbo"))
        if group in gradients.get(bound, {})
    }
    rows: list[dict[str, Any]] = []
    for name, make in objectives.items():
        try:
            objective = make()
            pyro.set_rng_seed(seed)
            loss = partial(objective.differentiable_loss, model, guide, batch)
            with pyro.validation_enabled(True):
                loss()
            fit_modules(objective, loss, FITTING)
            target = wanted if objective.bound == "none" else gradients.get(objective.bound)
            measured = examine(objective, model, guide, (batch,), groups, draws=draws, target=target)
        except UsageError as error:
            report(f"{name}: {error}")
            continue
        report(f"{name}: {draws} draws of {1e3 * measured.seconds:.1f} ms")
        gap = bounds["exact"] - measured.bound if "exact" in bounds else None
        for group, statistics in measured.groups.items():
            if group == "guide" and not objective.trains_guide:
                continue
            reference = wanted.get(group)
            mse = statistics.squared_error, statistics.squared_error_error
            if statistics.squared_bias is None and objective.unbiased and reference is not None:
                size = float(reference.double().square().sum())
                mse = statistics.variance / size, statistics.variance_error / size
            row = {
                "objective": name,
                "parameters": group,
                "gap": gap,
                "ess": measured.ess,
                "norm": statistics.norm,
                "bias^2": statistics.squared_bias,
                "+-": statistics.squared_bias_error,
                "mse": mse[0],
                "mse +-": mse[1],
                "cosine": _cosine(statistics.mean, reference) if statistics.norm else None,
                "variance": statistics.variance,
                "snr": statistics.signal_to_noise,
                "ms": 1e3 * measured.seconds,
                "variance x s": statistics.variance * measured.seconds,
            }
            rows.append(row)
    if not rows:
        raise UsageError(f"no objective of {', '.join(objectives)} can train these programs")
    return rows


def _cosine(gradient: Tensor, reference: Tensor | None) -> float | None:
    if reference is None:
        return None
    return float(nn.functional.cosine_similarity(gradient, reference.double(), dim=0))
