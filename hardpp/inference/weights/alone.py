"""A check that particles which run at once compute what each computes alone.

A program that takes a leading dim of particles for one of its own (`z.sum()`, `z[0]`, a reduction over a
plate counted from the left, a Python branch on `(z == 1).all()`) gives a number for several particles, and a
wrong one. So particles are scored alone as well, at the same values, and every site is compared: at values
that differ from particle to particle wherever latents have several, so that nothing is right by chance.

All runs are made in evaluation mode and without gradients; what a program draws by itself (dropout in a plain
function) cannot be compared, and is let pass.

Shapes: K particles.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical

from hardpp.errors import UsageError
from hardpp.inference.weights.particles import ProgramFailure, particle_trace
from hardpp.inference.weights.sample_sites import sample_sites, site_log_prob
from hardpp.types import Program

ALONE = 2  # how many particles are scored alone

Scores = dict[tuple[str, str], Tensor]  # log-probabilities by role and site


def check_alone(
    model: Program,
    guide: Program,
    drawn: Trace,
    particles: int,
    nesting: int,
    args: Any,
    kwargs: Any,
    enumerated: Callable[[Program, Trace, int], Program] | None = None,
) -> None:
    """Scores some particles alone.

    Args:
        model, guide: the programs.
        drawn: what the guide drew with K particles.
        particles: K, at least 2.
        nesting: how many dims plates take.
        args, kwargs: what both programs take.
        enumerated: makes of the model the program whose own latents are enumerated, given what was drawn and
            the first dim that is free; None where the guide draws all of them.

    Raises:
        UsageError: a site has another log-probability alone.
    """

    def score(values: Trace, count: int) -> Scores:
        scores: Scores = {}
        for role, program in (("guide", guide), ("model", model)):
            if role == "model" and enumerated is not None:
                program = enumerated(program, values, -1 - nesting - (count > 1))
            again = poutine.replay(program, trace=values)
            trace = particle_trace(again, count, nesting, args, kwargs, role=role)
            scores |= {(role, name): site_log_prob(site) for name, site in sample_sites(trace).items()}
        return scores

    with undisturbed(model, guide):
        values = _spread_out(drawn, particles, nesting)
        try:
            together = score(values, particles)
        except ProgramFailure:  # not all values go together
            values = drawn
            together = score(values, particles)
        for k in range(ALONE):
            try:
                alone = score(_particle(values, k, nesting), 1)
            except ProgramFailure:  # a program for several particles only
                return
            fault = _difference(together, alone, k, nesting)
            if fault is not None and _difference(together, score(values, particles), None, nesting) is None:
                role, name = fault
                raise UsageError(
                    f"site {name!r} of the {role} has other log-probabilities for a particle alone than "
                    f"among {particles}: the {role} takes the dim of the particles, left of all plates, for "
                    "one of its own; index and sum from the right (z[..., 0], z.sum(-1)), or give "
                    "vectorize_particles=False"
                )


@contextmanager
def undisturbed(*programs: Program) -> Iterator[None]:
    """Runs in evaluation mode, without gradients, after which modes and random numbers are as before."""
    modules = {m for program in programs if isinstance(program, nn.Module) for m in program.modules()}
    training = [module for module in modules if module.training]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    for module in training:
        module.training = False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module in training:
            module.training = True


# The trace with value k (or so many less) of every latent for particle k, where a latent is a scalar choice.
def _spread_out(drawn: Trace, particles: int, nesting: int) -> Trace:
    out = drawn.copy()
    for name, site in sample_sites(drawn).items():
        fn, value = site["fn"], site["value"]
        binary = isinstance(fn, Bernoulli)
        if site["is_observed"] or value.dim() != nesting + 1 or not (binary or isinstance(fn, Categorical)):
            continue
        choice = torch.arange(particles, device=value.device) % (2 if binary else fn.logits.shape[-1])
        spread = choice.reshape(-1, *(1,) * nesting).to(value.dtype).expand_as(value)
        out.nodes[name] = {**site, "value": spread}
    return out


# The trace of one particle: the values of every site without their dim of particles.
def _particle(drawn: Trace, k: int, nesting: int) -> Trace:
    one = drawn.copy()
    for name, site in sample_sites(drawn).items():
        value = site["value"]
        if value.dim() > nesting + len(site["fn"].event_shape):
            one.nodes[name] = {**site, "value": value[k]}
    return one


# The first site whose log-probabilities differ; None where none do. k: None compares all particles.
def _difference(together: Scores, other: Scores, k: int | None, nesting: int) -> tuple[str, str] | None:
    for key in {**together, **other}:
        one, two = together.get(key), other.get(key)
        if one is None or two is None:
            return key
        if k is not None and one.dim() > nesting:  # values of latents that are summed are further left
            one = one.select(-1 - nesting, k if one.shape[-1 - nesting] > 1 else 0)
        if not agree(one, two, one.dtype if one.dtype == two.dtype else torch.float32):
            return key
    return None


def agree(one: Tensor, two: Tensor, dtype: torch.dtype) -> bool:
    """Are log-probabilities the same, but for rounding in a dtype? They may lack dims of one another."""
    try:
        one, two = torch.broadcast_tensors(one, two)
    except RuntimeError:
        return False
    tolerance = 1e-7 if dtype == torch.float64 else 1e-3
    return torch.allclose(one, two.to(one.dtype), rtol=tolerance, atol=tolerance, equal_nan=True)
