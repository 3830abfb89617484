"""Whether an objective is what it declares: a bound in expectation, and its gradient.

Where each particle is a draw of the guide, the expectation is exact: all tuples of the latents of all
particles are gone through. Objectives that draw their particles together, or have random numbers beside those
draws, have a law of their own; their mean over many copies of a datum is compared, with a distance of six
standard errors.

Shapes: B data, K particles, P parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.doctor.exact_expectation import (
    Twin,
    bound_per_datum,
    expectation,
    flat_gradient,
    iw_bound_per_datum,
    log_marginal,
)
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.objective_programs import Pair, Symbols, batch, pair, twin_of

CLOSE = 1e-8  # nats
COPIES, ESTIMATES, ERRORS = 300, 24, 6.0  # of a datum; of them all; standard errors


@dataclass(frozen=True, eq=False)
class Looked:
    """An objective that is looked at, and how more of it are made."""

    objective: SurrogateObjective
    make: Callable[[int], SurrogateObjective]  # with so many particles
    takes_particles: bool
    random: bool = False  # has it random numbers beside the draws of the guide?

    @property
    def together(self) -> bool:
        """Is it not for tuples of independent draws to say what it expects?"""
        return self.random or draws_together(self.objective)

    @property
    def states(self) -> int:
        """How many values a latent has: few make few tuples, and leave nothing over where some are summed."""
        return 5 if self.together else 2

    @cached_property
    def averages(self) -> "list[tuple[Symbols, Expected]]":
        """Each toy batch that it takes, with what it gives on average."""
        return [(data, expected(self, data)) for data in accepted(self)]


class Expected(NamedTuple):
    """What an objective gives on average, and what it should give."""

    bound: Tensor  # (B,)
    gradient: Tensor  # (P,)
    of_bound: Tensor  # (B,) the true bound
    of_gradient: Tensor  # (P,) and its gradient
    error: tuple[Tensor, Tensor]  # by how much bound and gradient may be off


def draws_together(objective: SurrogateObjective) -> bool:
    """Are its draws other than independent ones of the guide, a particle each?"""
    return bool(getattr(objective, "draws_together", False)) or "relaxable" in objective.needs


# One latent of each of two data, and two latents of one.
TOYS = (batch(1, 0, 2), batch(2, 1))


def accepted(looked: Looked) -> list[Symbols]:
    """The toy batches that an objective takes; where it takes none, what it says of the first."""
    taken, refusals = [], []
    for data in TOYS:
        try:
            looked.objective.estimate(*pair(looked.states), data)
            taken.append(data)
        except UsageError as error:
            refusals.append(str(error))
    if not taken:
        raise UsageError(refusals[0])
    return taken


def _true_bound(bound: str, twin: Twin, particles: int) -> Tensor:
    if bound == "elbo":
        return bound_per_datum(twin)
    if bound == "iw":
        return iw_bound_per_datum(twin, particles)
    return log_marginal(twin).reshape(1)


def expected(looked: Looked, data: Symbols) -> Expected:
    """Averages an objective over all that it may draw."""
    objective, both = looked.objective, pair(looked.states)
    twin = twin_of(both, data)
    true = _true_bound(objective.bound, twin, objective.num_particles)
    of_gradient = flat_gradient(true, both.parameters).detach()
    if looked.together:
        return _by_copies(objective, both, data, true.detach(), of_gradient)

    def once() -> tuple[Tensor, ...]:
        estimate = objective.estimate(*both, data)
        return estimate.bound, flat_gradient(estimate.surrogate, both.parameters)

    bound, gradient = expectation(twin, objective.num_particles, once)
    error = (torch.full_like(bound, CLOSE), torch.full_like(gradient, CLOSE))
    return Expected(bound, gradient, true.detach(), of_gradient, error)


def _by_copies(
    objective: SurrogateObjective, both: Pair, data: Symbols, true: Tensor, of_gradient: Tensor
) -> Expected:
    many = Symbols(data.target.repeat(COPIES, 1), data.mask.repeat(COPIES, 1))
    bounds, gradients = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(ESTIMATES):
            estimate = objective.estimate(*both, many)
            bounds.append(estimate.bound.reshape(COPIES, -1).mean(0))
            gradients.append(flat_gradient(estimate.surrogate, both.parameters) / COPIES)
    error = tuple(ERRORS * torch.stack(each).std(0) / ESTIMATES**0.5 + CLOSE for each in (bounds, gradients))
    bound, gradient = (torch.stack(each).mean(0) for each in (bounds, gradients))
    return Expected(bound, gradient, true, of_gradient, (error[0], error[1]))


def _values(looked: Looked) -> Iterator[str]:
    objective = looked.objective
    if objective.bound == "none":
        raise Skip("it declares that its value is no bound")
    for data, found in looked.averages:
        total, true = found.bound.sum(), found.of_bound.sum()
        if not bool((total - true).abs() <= found.error[0].sum()):
            yield (
                f"its bound is {float(total):.6f} nats on average, and the {_NAMES[objective.bound]} that it "
                f"declares {float(true):.6f}, with {objective.num_particles} particles and "
                f"{data.target.shape[1]} latents of each of {len(data.target)} data"
            )


def _gradients(looked: Looked) -> Iterator[str]:
    objective = looked.objective
    if objective.bound == "none" or not objective.unbiased:
        raise Skip("it declares a bias (unbiased = False)")
    for data, found in looked.averages:
        both = pair(looked.states)
        start = 0
        for program, role in ((both.model, "model"), (both.guide, "guide")):
            for name, parameter in program.named_parameters():
                part = slice(start, start + parameter.numel())
                start = part.stop
                off = (found.gradient[part] - found.of_gradient[part]).abs()
                if bool((off > found.error[1][part]).any()):
                    yield (
                        f"the expected gradient of the {role}'s {name!r} is off by {float(off.max()):.3g}, "
                        f"and the objective declares that it is unbiased, of the {_NAMES[objective.bound]} "
                        f"({data.target.shape[1]} latents of each of {len(data.target)} data): look for a "
                        "baseline that knows the draw it judges, or declare unbiased = False"
                    )
                    break


def _trains(looked: Looked) -> Iterator[str]:
    objective, both = looked.objective, pair(looked.states)
    of_model = sum(parameter.numel() for parameter in both.model.parameters())
    data, found = looked.averages[-1]  # where a datum has the most latents
    surrogate = objective.estimate(*both, data).surrogate
    # A reward that happens to be 0 has a gradient of 0, and one that is detached none.
    reached = [_reaches(surrogate, program) for program in both]
    if not reached[0]:
        yield "no parameter of the model has a gradient: its surrogate is to have that of log p"
    elif objective.bound != "none" and float(found.gradient[:of_model] @ found.of_gradient[:of_model]) < 0:
        yield "on average the gradient of the model leads away from its bound: a surrogate is maximised"
    if objective.trains_guide and not reached[1]:
        yield "no parameter of the guide has a gradient, and trains_guide = False is not declared"
    if not objective.trains_guide and bool((found.gradient[of_model:].abs() > CLOSE).any()):
        yield "the guide has a gradient, and trains_guide = False is declared"


def _reaches(surrogate: Tensor, program: nn.Module) -> bool:
    parameters = list(program.parameters())
    if not surrogate.requires_grad:
        return False
    found = torch.autograd.grad(surrogate, parameters, retain_graph=True, allow_unused=True)
    return any(gradient is not None for gradient in found)


_NAMES = {"elbo": "evidence lower bound", "iw": "importance weighted bound", "exact": "log likelihood"}

CHECKS: list[Check[Looked]] = [
    Check("value", "its mean is the bound that it declares", _values, ("declared", "repeats")),
    Check("trains", "it trains what it declares to train", _trains, ("declared", "repeats")),
    Check("gradient", "its mean gradient is that of its bound", _gradients, ("declared", "repeats")),
]
