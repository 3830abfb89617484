"""K runs of a program at once: particles as one more dim, to the left of all plates.

Like a `pyro.plate` around the program, but only what is drawn is repeated K times. What is scored (an
observation, a replayed latent) broadcasts by itself, so repeating its distribution would be work for
nothing at every site.

Shapes: K particles.
"""

from typing import Any

from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import PARTICLES
from hardpp.types import Program


class Particles(Messenger):
    """Makes every site of a program independent in K particles, a dim left of `nesting` plates.

    Raises:
        UsageError: a plate of the program is where the particles are to be.
    """

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


def particle_trace(program: Program, particles: int, nesting: int, args: Any, kwargs: Any) -> Trace:
    """Runs a program with K particles (no dim of their own for one particle)."""
    if particles > 1:
        program = Particles(particles, nesting)(program)
    return poutine.trace(program).get_trace(*args, **kwargs)
