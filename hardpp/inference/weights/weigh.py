"""K draws of the guide, scored under model and guide: the weight table of importance sampling.

    z[k] ~ q,     log w[k] = log p(y, z[k]) - log q(z[k])

Particles are run at once, as one more dim (`hardpp.inference.weights.particles`), or one by one, which takes
any program and K times as long. Whatever an estimator does differently is a handler here (`Handlers`). A
guide that is the model's own prior (it says so by an attribute `prior_of`) needs no run of its own: one run
of the model draws and scores. If it draws otherwise at some places, it says how by an attribute `joint`, the
model as it draws it.

Shapes: K particles (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypedDict

from pyro.poutine import Trace

from hardpp.errors import UsageError
from hardpp.inference.weights.alone import check_alone
from hardpp.inference.weights.independence import check_independence
from hardpp.inference.weights.joined_plates import joined
from hardpp.inference.weights.model_guide_match import MissingLatent, replayed
from hardpp.inference.weights.nesting import plate_nesting
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import as_model_site, sample_sites
from hardpp.inference.weights.tabulate import Weighing, tabulate
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.types import Program


class Handlers(TypedDict, total=False):
    """What an estimator does differently while particles are drawn and scored.

    Attributes:
        draw: is open while the guide runs, outside of its particles.
        guide: is around the guide, inside of its particles.
        score: makes of the model and the guide's trace the program that scores the draws; by default the
            model replayed at them.
        extra: rows that the scored model has besides the K particles; they come last.
        drawn: says how many particles the guide drew, if that is for it to decide.
    """

    draw: AbstractContextManager[Any]
    guide: Callable[[Program], Program]
    score: Callable[[Program, Trace], Program]
    extra: int
    drawn: Callable[[], int]


def weigh(
    model: Program,
    guide: Program,
    particles: int,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    how: Weighing | None = None,
    handlers: Callable[[], Handlers] = Handlers,
    one_by_one: bool = False,
    check: bool = False,
) -> WeightTable:
    """Draws particles from the guide and tabulates log p and log q of each.

    Args:
        model, guide: programs over the same latent sites.
        particles: K.
        args, kwargs: what both programs take.
        how: what their plates are, and what is weighed; by default see `plate_nesting`.
        handlers: says what is to be done differently, anew for every run.
        one_by_one: run the programs once for each particle.
        check: score some particles alone as well, see `hardpp.inference.weights.alone`, and see that plates
            keep their word, see `hardpp.inference.weights.independence`.

    Raises:
        UsageError: a program fails, or they do not go together, see `hardpp.inference.weights.tabulate`.
    """
    kwargs = dict(kwargs or {})
    for role, program in (("model", model), ("guide", guide)):
        if not callable(program) and not hasattr(program, "prior_of"):
            raise UsageError(f"the {role} is {program!r}, and no program")
    model = joined(model, guide)
    how = Weighing(plate_nesting(model, guide, args, kwargs)) if how is None else how
    runs, at_once = (particles, 1) if one_by_one else (1, particles)
    pairs, extra = [], 0
    for _ in range(runs):
        special = handlers()
        extra = special.get("extra", 0)
        pairs.append(_run(model, guide, at_once, args, kwargs, how, special))
        at_once = special["drawn"]() if "drawn" in special else at_once
    table = tabulate(pairs, at_once, how, extra)
    if at_once > 1 and check:
        summed = how.sums.enumerated if how.sums is not None and how.sums.needed else None
        check_alone(model, guide, pairs[0][1], at_once, how.nesting, args, kwargs, summed)
    if check:
        check_independence(model, guide, args, kwargs)
    return table._replace(args=args, kwargs=kwargs)


# The traces of model and guide.
def _run(
    model: Program, guide: Program, particles: int, args: Any, kwargs: Any, how: Weighing, handlers: Handlers
) -> tuple[Trace, Trace]:
    nesting = how.nesting
    once = "score" not in handlers and getattr(guide, "prior_of", None) is model
    draws = getattr(guide, "joint", model) if once else guide
    draws = handlers["guide"](draws) if "guide" in handlers else draws
    with handlers.get("draw", nullcontext()):
        drawn = particle_trace(draws, particles, nesting, args, kwargs, role="guide")
    if once:
        latents, scored = without_observations(drawn), drawn.copy()
        scored.nodes.update({name: as_model_site(site) for name, site in sample_sites(latents).items()})
        return scored, latents
    score, rows = handlers.get("score", replayed), particles + handlers.get("extra", 0)
    sums = None if "score" in handlers else how.sums
    if sums is None or not sums.needed:
        try:
            return particle_trace(score(model, drawn), rows, nesting, args, kwargs, role="model"), drawn
        except MissingLatent:
            if sums is None:
                raise
            sums.needed = True
    model = sums.enumerated(model, drawn, -1 - nesting - (rows > 1))
    return particle_trace(score(model, drawn), rows, nesting, args, kwargs, role="model"), drawn


def without_observations(trace: Trace) -> Trace:
    """What is left of a model's trace if its prior is the guide."""
    latents = trace.copy()
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and site["is_observed"]:
            latents.remove_node(name)
    return latents
