"""What a guide's probabilities must be: trainable, normalised, with a bound below the exact likelihood."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.weights.sample_sites import site_log_prob
from hardpp.nn.modes import evaluating
from hardpp.tasks.doctor.exact_expectation import tuples
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.recorded import Recorded, log_probs, recorded, values_of
from hardpp.tasks.doctor.subject import Subject

MOST = 1000  # tuples of latent values that are gone through
_UNUSED = "nothing that the guide draws depends on it: use it, or leave it out"
_DETACHED = (
    "what is drawn depends on it, and no gradient comes back: look for detach, no_grad, .data or .item()"
)


def _gradients(subject: Subject) -> Iterator[str]:
    parameters = subject.own_parameters()
    if not parameters:
        raise Skip("the guide has no parameters of its own")
    run = recorded(subject.guide, subject.whole, subject.drawn.values, gradients=True)
    drawn = recorded(subject.guide, subject.whole, gradients=True)
    reached = [*log_probs(run).values(), *drawn.values.values()]
    total = sum((term.sum() for term in reached if term.requires_grad), torch.zeros(()))
    found: list[Any] = [None] * len(parameters)
    if total.requires_grad:
        found = list(torch.autograd.grad(total, list(parameters.values()), allow_unused=True))
    without = [name for name, gradient in zip(parameters, found, strict=True) if gradient is None]
    used = {name for name in without if _matters(subject, parameters[name])}
    for names, cause in (([n for n in without if n not in used], _UNUSED), ([*used], _DETACHED)):
        if names:
            yield f"no gradient for parameter {', '.join(map(repr, sorted(names)))}: {cause}"


# Do draws, or their probabilities, change with a parameter?
def _matters(subject: Subject, parameter: Tensor) -> bool:
    kept = parameter.detach().clone()
    try:
        with torch.no_grad():
            parameter.add_(torch.linspace(0.5, 1.5, kept.numel()).reshape(kept.shape).to(kept))
        again = recorded(subject.guide, subject.whole, subject.drawn.values)
        before, after = log_probs(subject.drawn), log_probs(again)
        return any(name not in after or not torch.equal(before[name], after[name]) for name in before)
    finally:
        with torch.no_grad():
            parameter.copy_(kept)


def _normalisation(subject: Subject) -> Iterator[str]:
    precise = subject.precise()
    batch = precise.batch(1)
    run = recorded(precise.guide, batch)
    latents, supports = {}, {}
    for site in run.sites:
        if not site["is_observed"]:
            latents[site["name"]], supports[site["name"]] = values_of(site)
    count = 1
    for latent in latents.values():
        count *= latent.values ** int(latent.mask.sum())
    if count > MOST:
        raise Skip(f"the first toy datum has {count} tuples of latent values, more than {MOST}")
    total: Tensor | float = 0.0
    chosen = tuples(latents)
    for row in range(count):
        values = {name: supports[name][index[row]] for name, index in chosen.items()}
        total = total + _log_q(recorded(precise.guide, batch, values, gradients=True)).exp()
    tolerance = 1e-6 if precise is not subject else 1e-4
    found = float(total.detach()) if isinstance(total, Tensor) else total
    if not abs(found - 1) < tolerance:
        names = ", ".join(map(repr, latents))
        yield (
            f"q sums to {found:.6f} and not to 1 over all {count} values of {names} of the first datum:"
            " its distributions are not normalised, or it has a factor or scale of its own"
        )
    elif isinstance(total, Tensor) and total.requires_grad and precise.own_parameters():
        yield from _constant(total, precise.own_parameters(), tolerance)


# What is 1 whatever the parameters are has no gradient.
def _constant(total: Tensor, parameters: dict[str, Any], tolerance: float) -> Iterator[str]:
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and not bool((gradient.abs() < 10 * tolerance).all()):
            yield (
                f"q sums to 1, and the gradients of its values by parameter {name!r} do not sum to 0 but to "
                f"{float(gradient.flatten()[gradient.abs().argmax()]):.6f}: a part of log q is detached, "
                "such as its normaliser"
            )
            return


def _log_q(run: Recorded) -> Tensor:
    return torch.stack([(site_log_prob(site) * site["scale"]).sum() for site in run.sites]).sum()


def _bound(subject: Subject) -> Iterator[str]:
    lacks = subject.run.family.lacks(subject.run.network)
    for need in ("marginal", "enumerable"):
        if need in lacks:
            raise Skip(lacks[need].reason.format(objective="the exact likelihood"))
    precise = subject.precise()
    both, batch = precise.run.programs, precise.whole
    try:
        with torch.no_grad(), evaluating(both.model), evaluating(both.guide):
            exact = ExactMarginal(tolerance=0.0).estimate(*both, batch).bound
            bound = EnumeratedELBO(tolerance=0.0).estimate(*both, batch).bound
    except UsageError as error:
        raise Skip(str(error)) from error
    tolerance = 1e-6 if precise is not subject else 1e-3
    over = ~(bound <= exact + tolerance)
    if bool(over.any()):
        datum = int(over.nonzero()[0])
        yield (
            f"the evidence lower bound of datum {datum} is {float(bound[datum]):.4f} nats, above its exact "
            f"log likelihood of {float(exact[datum]):.4f}: it leaves probability out, or counts some twice"
        )


CHECKS: list[Check[Subject]] = [
    Check("gradients", "every parameter gets a gradient", _gradients, ("runs", "parameters")),
    Check(
        "normalisation",
        "q sums to 1 over all values, and its gradients to 0",
        _normalisation,
        ("names", "repeats", "batch of one", "enumeration"),
    ),
    Check(
        "bound",
        "the bound is below the exact log likelihood",
        _bound,
        ("sites", "plates", "supports", "masks", "enumeration", "normalisation"),
    ),
]
