"""K draws of the guide, scored under model and guide: the weight table of importance sampling.

    z[k] ~ q,     log w[k] = log p(y, z[k]) - log q(z[k])

Particles are one more dim, to the left of all plates. That is like a `pyro.plate` around a program, but only
what is drawn is repeated K times: what is scored (an observation, a replayed latent) broadcasts by itself, so
repeating its distribution would be work for nothing at every site.

Whatever an estimator does differently is a handler here (`Handlers`). A guide that is the model's own prior
(it says so by an attribute `prior_of`) needs no run of its own: one run of the model draws and scores.

Shapes: K particles (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypedDict

from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import PARTICLES
from hardpp.inference.weights.weight_table import WeightTable, tabulate
from hardpp.types import Program


class Handlers(TypedDict, total=False):
    """What an estimator does differently while particles are drawn and scored.

    Attributes:
        draw: is open while the guide runs, outside of its particles.
        guide: is around the guide, inside of its particles.
        score: makes of the model and the guide's trace the program that scores the draws; by default the
            model replayed at them.
        extra: rows that the scored model has besides the K particles; they come last.
    """

    draw: AbstractContextManager[Any]
    guide: Callable[[Program], Program]
    score: Callable[[Program, Trace], Program]
    extra: int


def weigh(
    model: Program,
    guide: Program,
    particles: int,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    nesting: int | None = None,
    handlers: Handlers | None = None,
) -> WeightTable:
    """Draws particles from the guide and tabulates log p and log q of each.

    Args:
        model, guide: programs over the same latent sites.
        particles: K.
        args, kwargs: what both programs take.
        nesting: how many dims their plates take; by default see `plate_nesting`.
        handlers: what is to be done differently.

    Raises:
        UsageError: the programs do not go together, see `hardpp.inference.weights.weight_table.tabulate`.
    """
    kwargs, handlers = dict(kwargs or {}), handlers or {}
    nesting = plate_nesting(model, guide, args, kwargs) if nesting is None else nesting
    if "guide" in handlers:
        guide = handlers["guide"](guide)
    once = "score" not in handlers and getattr(guide, "prior_of", None) is model
    with handlers.get("draw", nullcontext()):
        drawn = particle_trace(model if once else guide, particles, nesting, args, kwargs)
    if once:
        model_trace, guide_trace = drawn, without_observations(drawn)
    else:
        score = handlers.get("score", _replayed)
        rows = particles + handlers.get("extra", 0)
        model_trace, guide_trace = particle_trace(score(model, drawn), rows, nesting, args, kwargs), drawn
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


def _replayed(model: Program, draws: Trace) -> Program:
    return poutine.replay(model, trace=draws)


def particle_trace(program: Program, particles: int, nesting: int, args: Any, kwargs: Any) -> Trace:
    """Runs a program with K particles (no dim of their own for one particle).

    Raises:
        UsageError: a plate of the program is where the particles are to be.
    """
    if particles > 1:
        program = _Particles(particles, nesting)(program)
    return poutine.trace(program).get_trace(*args, **kwargs)


class _Particles(Messenger):
    """Makes every site of a program independent in K particles, a dim left of `nesting` plates."""

    def __init__(self, particles: int, nesting: int):
        super().__init__()
        self.particles, self.dim = particles, -1 - nesting
        self.frame = CondIndepStackFrame(PARTICLES, self.dim, particles, 0, particles)

    def _pyro_sample(self, msg: Any) -> None:
        for frame in msg["cond_indep_stack"]:
            if frame.dim is not None and frame.dim <= self.dim:
                raise UsageError(
                    f"site {msg['name']!r} is in plate {frame.name!r} at dim {frame.dim}, but "
                    f"max_plate_nesting is {-1 - self.dim}"
                )
        msg["cond_indep_stack"] = (self.frame, *msg["cond_indep_stack"])
        if msg["done"] or msg["is_observed"] or site_is_subsample(msg):
            return
        shape = msg["fn"].batch_shape
        if len(shape) < -self.dim or shape[0] != self.particles:
            missing = (1,) * (-1 - self.dim - len(shape))
            msg["fn"] = msg["fn"].expand((self.particles, *missing, *shape[len(shape) + self.dim + 1 :]))
