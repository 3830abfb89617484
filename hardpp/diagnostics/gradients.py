"""Bias, variance and cost of gradient estimators, at given parameters and on a given batch.

An estimator g of a gradient is drawn R times with everything else frozen. Its variance is the trace of the
covariance of g, its signal-to-noise ratio is |E g| / sqrt(variance), and its bias is E g - t, where the
gradient t of the same bound is known exactly (by enumeration). What training pays is variance times the
seconds of a draw.

A mean over R noisy draws is never exactly t, so |mean - t| says little. The draws are split into groups,
whose means m_1 .. m_J are independent, and

    bias^2  is estimated by  mean over i != j of (m_i - t).(m_j - t),

which has no noise in expectation. One draw is off by the mean squared error bias^2 + variance. A jackknife
over the groups gives standard errors of both.

Source: Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily Better, for the ratio.
Shapes: P parameters, R draws, J groups of draws.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hardpp.inference.objective import SurrogateObjective
from hardpp.types import Estimate, Program


class GradientStatistics(NamedTuple):
    """What R draws of one estimator say about the gradient of one group of parameters."""

    mean: Tensor  # (P,) float64
    norm: float  # of the expected gradient, its noise taken off
    variance: float  # trace of the covariance
    squared_bias: float | None  # relative to |t|^2; None where t is not known or zero
    squared_bias_error: float | None  # its standard error
    squared_error: float | None = None  # of one draw: squared bias + variance, relative to |t|^2, too
    squared_error_error: float | None = None  # its standard error
    variance_error: float = 0.0  # the standard error of the variance

    @property
    def signal_to_noise(self) -> float:
        """|E g| / sqrt(variance); infinite for a deterministic estimator."""
        return self.norm / sqrt(self.variance) if self.variance else float("inf")


class _Moments:
    """Running sums of the draws of a gradient in J groups, of their distances from the first draw."""

    def __init__(self, size: int, groups: int, device: torch.device):
        self.sums = torch.zeros(groups, size, dtype=torch.float64, device=device)
        self.squares = torch.zeros(size, dtype=torch.float64, device=device)
        self.lengths = torch.zeros(groups, dtype=torch.float64, device=device)
        self.first: Tensor | None = None
        self.draws = 0

    def add(self, gradient: Tensor) -> None:
        self.first = gradient.double() if self.first is None else self.first
        off = gradient.double() - self.first
        self.sums[self.draws % len(self.sums)] += off
        self.squares += off.square()
        self.lengths[self.draws % len(self.sums)] += off.square().sum()
        self.draws += 1

    def statistics(self, target: Tensor | None) -> GradientStatistics:
        J, R, first = len(self.sums), self.draws, self.first
        off = self.sums.sum(0) / R
        variance = float((self.squares - R * off.square()).clamp(min=0).sum() / (R - 1))
        mean = off if first is None else first + off
        norm = sqrt(max(float(mean.square().sum()) - variance / R, 0.0))
        size = 0.0 if target is None else float(target.square().sum())
        kept, rest = R * (J - 1) / J, off * R - self.sums  # draws without group i, and their sums
        spread = (self.lengths.sum() - self.lengths - rest.square().sum(-1) / kept).clamp(min=0) / (kept - 1)
        noise = _jackknife(spread)
        if target is None or not size:
            return GradientStatistics(mean, norm, variance, None, None, variance_error=noise)
        means = self.sums / (R / J) + mean - off - target  # (J, P)
        products = means @ means.T
        products.fill_diagonal_(0.0)
        rows, total = products.sum(0), products.sum()
        # Without group i: both its row and its column are gone.
        left = (total - 2 * rows) / ((J - 1) * (J - 2)) / size
        bias = float(total) / (J * (J - 1)) / size
        # Less than nothing is noise: it must not take away from the variance.
        errors = _jackknife(left), _jackknife(left + spread / size)
        return GradientStatistics(
            mean, norm, variance, bias, errors[0], max(bias, 0.0) + variance / size, errors[1], noise
        )


# The standard error of a statistic, given its values (J,) without each group.
def _jackknife(left: Tensor) -> float:
    J = len(left)
    return sqrt((J - 1) / J * float((left - left.mean()).square().sum()))


class EstimatorReport(NamedTuple):
    """One estimator, drawn R times."""

    groups: dict[str, GradientStatistics]  # by the name of the group of parameters
    bound: float  # mean over draws and data, nats a datum
    ess: float | None  # effective sample size, mean over draws and data
    seconds: float  # of one draw, forward and backward; median


def examine(
    objective: SurrogateObjective,
    model: nn.Module,
    guide: nn.Module,
    args: Sequence[Any],
    groups: dict[str, list[nn.Parameter]],
    *,
    draws: int,
    target: dict[str, Tensor] | None = None,
) -> EstimatorReport:
    """Draws an estimator R times at frozen parameters.

    Args:
        objective: the estimator; what it remembers is left as it is.
        model, guide: programs over the same latents.
        args: the programs' arguments, the first of them the batch.
        groups: parameters by the name of their group.
        draws: R, a multiple of 10 (the number of groups of draws).
        target: the exact gradient of the objective's bound for each group, (P,), where it is known.

    Raises:
        UsageError: the objective refuses the programs.
    """
    module = objective(model, guide).eval()
    moments = {
        name: _Moments(sum(p.numel() for p in part), 10, part[0].device) for name, part in groups.items()
    }
    bounds, sizes, seconds = [], [], []
    for _ in range(draws):
        began = time.perf_counter()
        estimate, gradients = surrogate_gradient(module.elbo, model, guide, args, groups)
        seconds.append(time.perf_counter() - began)
        for name, gradient in gradients.items():
            moments[name].add(gradient)
        bounds.append(estimate.bound.mean())
        if "ess" in estimate.diagnostics:
            sizes.append(estimate.diagnostics["ess"].mean())
    return EstimatorReport(
        {name: part.statistics((target or {}).get(name)) for name, part in moments.items()},
        float(torch.stack(bounds).mean()),
        float(torch.stack(sizes).mean()) if sizes else None,
        sorted(seconds)[len(seconds) // 2],
    )


def surrogate_gradient(
    objective: SurrogateObjective,
    model: Program,
    guide: Program,
    args: Sequence[Any],
    groups: dict[str, list[nn.Parameter]],
) -> tuple[Estimate, dict[str, Tensor]]:
    """One estimate, and the gradient of its surrogate for each group, (P,) and per batch."""
    estimate = objective.estimate(model, guide, *args)
    every = [parameter for part in groups.values() for parameter in part]
    if estimate.surrogate.requires_grad:
        gradients = torch.autograd.grad(estimate.surrogate, every, materialize_grads=True)
    else:
        gradients = tuple(map(torch.zeros_like, every))
    flat = (gradient.flatten() for gradient in gradients)
    return estimate, {name: torch.cat([*islice(flat, len(part))]) for name, part in groups.items()}


def parameter_groups(model: nn.Module, guide: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Parameters of the model, and the guide's own if it has any that the model has not."""
    of_model = [p for p in model.parameters() if p.requires_grad]
    shared = {id(p) for p in of_model}
    own = [p for p in guide.parameters() if p.requires_grad and id(p) not in shared]
    return {name: part for name, part in (("model", of_model), ("guide", own)) if part}


def fit_modules(objective: SurrogateObjective, loss: Callable[[], Tensor], steps: int) -> None:
    """Trains what an objective learns by itself (a baseline) while its programs stay as they are.

    A baseline that has never seen these programs would be judged for that.
    """
    parts = nn.ModuleList(part for part in vars(objective).values() if isinstance(part, nn.Module)).train()
    own = list(parts.parameters())
    optimiser = torch.optim.Adam(own, lr=0.01) if own else None
    for _ in range(steps if parts else 0):
        value = loss()  # from which a running mean learns without an optimiser
        if optimiser is not None:
            gradients = torch.autograd.grad(value, own, allow_unused=True)
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
