"""What an objective makes of the data of a batch: each by itself, and times the scale of its plate.

All comparisons are at the same draws, so that they are equalities.

Shapes: B data, K particles, P parameters.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from hardpp.tasks.doctor.exact_expectation import flat_gradient
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.objective_programs import Symbols, forced, pair
from hardpp.tasks.doctor.objective_values import Looked, accepted
from hardpp.types import Estimate

CLOSE = 1e-9  # nats


def at_draws(
    looked: Looked, data: Symbols, rows: list[int] | None = None, seed: int = 0
) -> tuple[Estimate, Tensor]:
    """An estimate, and the gradient of all parameters, at draws that are given by the number of a datum."""
    both, K, (B, T) = pair(looked.states), looked.objective.num_particles, data.target.shape
    numbers = torch.arange(B) if rows is None else torch.tensor(rows)
    particles = torch.arange(K).unsqueeze(-1)
    values = {f"state_{t + 1}": (numbers + (2 * t + 1) * particles + t) % looked.states for t in range(T)}
    values = {name: value if K > 1 else value[0] for name, value in values.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        guide, force = forced(looked.objective, both.guide, values)
        with force:
            estimate = looked.objective.estimate(both.model, guide, data)
    return estimate, flat_gradient(estimate.surrogate, both.parameters)


def has_own_numbers(looked: Looked) -> bool:
    """Are an estimate and its gradient other ones by another seed, at the same draws of the guide?"""
    return any(_differ(at_draws(looked, data), at_draws(looked, data, seed=1)) for data in accepted(looked))


def _differ(one: tuple[Estimate, Tensor], other: tuple[Estimate, Tensor]) -> bool:
    bounds, gradients = (one[0].bound, other[0].bound), (one[1], other[1])
    return not all(torch.allclose(*pair, CLOSE, CLOSE, equal_nan=True) for pair in (bounds, gradients))


def _repeats(looked: Looked) -> Iterator[str]:
    for data in accepted(looked):
        if _differ(at_draws(looked, data), at_draws(looked, data)):
            yield (
                "its bound or gradient is another one in the next call, at the same draws: it keeps state; "
                "a running baseline is a module that learns in training mode alone (Baseline, in "
                "hardpp.inference.control.baselines)"
            )
            return


def _estimates(looked: Looked) -> Iterator[str]:
    for data in accepted(looked):
        estimate, _ = at_draws(looked, data)
        B, K = len(data.target), looked.objective.num_particles
        if estimate.bound.shape != (B,):
            yield f"its bound has the shape {tuple(estimate.bound.shape)}: {(B,)} is wanted, one a datum"
        if estimate.bound.dtype != torch.float64 or estimate.surrogate.dtype != torch.float64:
            kinds = f"{estimate.bound.dtype} and {estimate.surrogate.dtype}"
            yield f"its bound and surrogate are {kinds}, of programs in torch.float64: leave the dtype alone"
        if estimate.bound.requires_grad:
            yield "its bound has a gradient: detach it, as the surrogate is what is differentiated"
        if estimate.surrogate.shape != ():
            yield f"its surrogate has the shape {tuple(estimate.surrogate.shape)}: sum it over the data"
        if not (bool(estimate.bound.isfinite().all()) and bool(estimate.surrogate.isfinite())):
            yield "its bound or surrogate is not finite on data that both programs find possible"
        weights = estimate.log_weights
        if weights is not None and weights.shape != (K, B):
            yield f"its log_weights have the shape {tuple(weights.shape)}, and {(K, B)} are wanted"


def _apart(looked: Looked) -> Iterator[str]:
    _check_compares(looked)
    for data in accepted(looked):
        data = _several(data)
        whole, gradient = at_draws(looked, data)
        alone = [
            at_draws(looked, Symbols(data.target[b : b + 1], data.mask[b : b + 1]), [b])
            for b in range(len(data.target))
        ]
        bounds = torch.cat([estimate.bound for estimate, _ in alone])
        if not torch.allclose(bounds, whole.bound, CLOSE, CLOSE):
            yield (
                "the bound of a datum is another one in a batch than alone, at the same draws: weights are "
                "pooled over data (a logsumexp or mean over more than dim 0, the particles)"
            )
        total = torch.stack([part for _, part in alone]).sum(0)
        if not torch.allclose(total, gradient, CLOSE, CLOSE):
            yield (
                "the gradient of a batch is not the sum of its data's, at the same draws: a baseline or "
                "weight of a datum depends on others (a mean over dim 1, or a shape without that of the data)"
            )


def _masked(looked: Looked) -> Iterator[str]:
    _check_compares(looked)
    for data in accepted(looked):
        data = _several(data)
        mask = data.mask.clone()
        mask[-1] = False
        masked, gradient = at_draws(looked, data._replace(mask=mask))
        rest = range(len(data.target) - 1)
        without, wanted = at_draws(looked, Symbols(data.target[:-1], data.mask[:-1]), [*rest])
        if float(masked.bound[-1]) != 0:
            yield f"a masked datum has a bound of {float(masked.bound[-1]):.4g} nats, and 0 is wanted"
        if not torch.allclose(masked.bound[:-1], without.bound, CLOSE, CLOSE):
            yield "a masked datum changes the bounds of others"
        if not torch.allclose(gradient, wanted, CLOSE, CLOSE):
            yield "a masked datum has a gradient: multiply scores by nothing that ignores the table's masks"


# Batches of different sizes have different random numbers.
def _check_compares(looked: Looked) -> None:
    if looked.random:
        raise Skip("it has random numbers beside the draws of the guide")


def _scaled(looked: Looked) -> Iterator[str]:
    for data in accepted(looked):
        plain, gradient = at_draws(looked, data)
        for factor, other, what in (
            (4.0, data._replace(scale=4.0), "under poutine.scale of 4"),
            (3.0, data._replace(of=3 * len(data.target)), "in a plate that is subsampled to a third"),
        ):
            scaled, found = at_draws(looked, other)
            if not torch.allclose(scaled.bound, factor * plain.bound, CLOSE, CLOSE):
                yield f"{what} its bound is not {factor:.0f} times as large"
            if not torch.allclose(found, factor * gradient, CLOSE, CLOSE):
                yield f"{what} its gradient is not {factor:.0f} times as large: scales stand outside of logs"


# The data of a toy, and another one.
def _several(data: Symbols) -> Symbols:
    more = (data.target[:1] + 1) % (int(data.target.max()) + 1)
    target = torch.cat([data.target, more])
    return Symbols(target, torch.ones_like(target, dtype=torch.bool))


CHECKS: list[Check[Looked]] = [
    Check("estimate", "an estimate has a bound of each datum and one surrogate", _estimates),
    Check("repeats", "the same draws have the same estimate in every call", _repeats, ("estimate",)),
    Check("per datum", "data have nothing to do with one another", _apart, ("repeats",)),
    Check("masks", "what is masked adds nothing", _masked, ("repeats",)),
    Check("scale", "the scale of a plate multiplies bound and gradient", _scaled, ("repeats",)),
]
