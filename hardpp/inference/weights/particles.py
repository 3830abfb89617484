"""Particles: a program run with K draws at once, as one more dim to the left of all plates.

That is like a `pyro.plate` around a program, but only what is drawn is repeated K times: what is scored (an
observation, a replayed latent) broadcasts by itself, so repeating its distribution would be work for nothing
at every site.

Shapes: K particles.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.messenger import Messenger
from pyro.poutine.trace_messenger import TraceMessenger
from pyro.poutine.util import site_is_subsample

from hardpp.errors import HardppError, UsageError, out_of_memory
from hardpp.inference.weights.like_sites import cheap_categoricals
from hardpp.inference.weights.sample_sites import APART, DRAWN_AS, PARTICLES, expanded
from hardpp.types import Program

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ProgramFailure(UsageError):
    """A program failed with an error of its own, of Pyro's or of torch's."""


class PlateBeyond(UsageError):
    """Plates take more dims than was thought, so that one of them is where particles or values are to be."""

    def __init__(self, site: str, plate: str, dim: int, nesting: int):
        super().__init__(
            f"site {site!r} is in plate {plate!r} at dim {dim}, but max_plate_nesting is {nesting}"
        )
        self.nesting = -dim


def check_plates(msg: Any, nesting: int) -> None:
    """Refuses a site in a plate beyond so many dims with `PlateBeyond`."""
    for frame in msg["cond_indep_stack"]:
        if frame.dim is not None and frame.dim < -nesting and frame.name != PARTICLES:
            raise PlateBeyond(msg["name"], frame.name, frame.dim, nesting)


def particle_trace(
    program: Program, particles: int, nesting: int, args: Any, kwargs: Any, *, role: str = "program"
) -> Trace:
    """Runs a program with K particles (no dim of their own for one particle); plates take `nesting` dims.

    Args:
        role: what messages call the program.

    Raises:
        PlateBeyond: a plate of the program is where the particles are to be.
        ProgramFailure: the program fails; the message says after which site.
    """
    if particles > 1:
        program = _Particles(particles, nesting)(program)
    return traced(program, role, args, kwargs)


def traced(program: Program, role: str, args: Any, kwargs: Any) -> Trace:
    """Runs a program; where it fails, the message says after which site."""
    tracing = poutine.trace(program)
    with failures_of(role, tracing.msngr), cheap_categoricals():
        return tracing.get_trace(*args, **kwargs)


@contextmanager
def failures_of(what: str, tracing: TraceMessenger | None = None) -> Iterator[None]:
    """Turns what a program fails with into one sentence; running out of memory stays what it is."""
    try:
        yield
    except HardppError:
        raise
    except FAULTS as error:
        if out_of_memory(error):
            raise
        where = "" if tracing is None else f" {_where(tracing.trace)}"
        raise ProgramFailure(f"the {what} fails{where}: {_first_sentence(error)}") from error


# After which site a program has stopped.
def _where(trace: Trace) -> str:
    for site in reversed(list(trace.nodes.values())):
        if site["type"] == "sample" and not site_is_subsample(site):
            drawn = "" if site["is_observed"] else f", drawn as {_described(site)}"
            return f"after site {site['name']!r}{drawn}"
    return "before its first site"


class _Particles(Messenger):
    """Makes every site of a program independent in K particles, a dim left of `nesting` plates."""

    def __init__(self, particles: int, nesting: int):
        super().__init__()
        self.particles, self.dim = particles, -1 - nesting
        self.frame = CondIndepStackFrame(PARTICLES, self.dim, particles, 0, particles)

    def _pyro_sample(self, msg: Any) -> None:
        check_plates(msg, -1 - self.dim)
        msg["cond_indep_stack"] = (self.frame, *msg["cond_indep_stack"])
        if msg["done"] or msg["is_observed"] or site_is_subsample(msg):
            return
        shape = msg["fn"].batch_shape
        if len(shape) < -self.dim or shape[self.dim] == 1:
            msg["infer"] = msg["infer"] | {APART: True}
            missing = (1,) * (-1 - self.dim - len(shape))
            inner = shape[len(shape) + self.dim + 1 :] if len(shape) >= -self.dim else shape
            msg["fn"] = expanded(msg["fn"], (*shape[: self.dim], self.particles, *missing, *inner))


def _described(msg: Any) -> str:
    value = msg["value"]
    shape, dtype = tuple(getattr(value, "shape", ())), str(getattr(value, "dtype", "")).removeprefix("torch.")
    own, kind = type(msg["fn"]).__name__, msg["infer"].get(DRAWN_AS)
    return f"{own if kind in (None, own) else f'{kind} by the guide'} of shape {shape}, {dtype}"


def _first_sentence(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0].removesuffix(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
