"""K draws of the guide, scored under model and guide: the weight table of importance sampling.

    z[k] ~ q,     log w[k] = log p(y, z[k]) - log q(z[k])

Whatever an estimator does differently is a handler here: one around the run of the guide draws from another
distribution, one around the run of the model scores the draws in another way. A guide that is the model's
own prior (it says so by an attribute `prior_of`) needs no run of its own: one run of the model draws and
scores.

Shapes: K particles (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.poutine import Trace

from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.weight_table import WeightTable, tabulate
from hardpp.types import Program

Scored = Callable[[Program, Trace], Program]  # a model that takes its latents from a guide's trace


def weigh(
    model: Program,
    guide: Program,
    particles: int,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    nesting: int | None = None,
    draw: AbstractContextManager[Any] | None = None,
    score: Scored | None = None,
    extra: int = 0,
) -> WeightTable:
    """Draws particles from the guide and tabulates log p and log q of each.

    Args:
        model, guide: programs over the same latent sites.
        particles: K.
        args, kwargs: what both programs take.
        nesting: how many dims their plates take; by default see `plate_nesting`.
        draw: a handler that is open while the guide runs, outside of its particles.
        score: makes of the model and the guide's trace the program that scores the draws; by default the
            model replayed at them.
        extra: rows that the scored model has besides the K particles; they come last.

    Raises:
        UsageError: the programs do not go together, see `hardpp.inference.weights.weight_table.tabulate`.
    """
    kwargs = dict(kwargs or {})
    nesting = plate_nesting(model, guide, args, kwargs) if nesting is None else nesting
    once = score is None and getattr(guide, "prior_of", None) is model
    with nullcontext() if draw is None else draw:
        drawn = particle_trace(model if once else guide, particles, nesting, args, kwargs)
    if once:
        model_trace, guide_trace = drawn, without_observations(drawn)
    else:
        scored = poutine.replay(model, trace=drawn) if score is None else score(model, drawn)
        model_trace = particle_trace(scored, particles + extra, nesting, args, kwargs)
        guide_trace = drawn
    return tabulate(model_trace, guide_trace, particles, nesting)._replace(args=args, kwargs=kwargs)


def plate_nesting(model: Program, guide: Program, args: Any, kwargs: Any) -> int:
    """How many dims the programs' plates take: declared by the model, or else found by running both once."""
    declared = getattr(model, "max_plate_nesting", None)
    if declared is not None:
        return int(declared)
    guess = Trace_ELBO()
    guess._guess_max_plate_nesting(model, guide, args, kwargs)
    return int(guess.max_plate_nesting)


def without_observations(trace: Trace) -> Trace:
    """What is left of a model's trace if its prior is the guide."""
    latents = trace.copy()
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and site["is_observed"]:
            latents.remove_node(name)
    return latents
