"""A check that no step of a program looks further back than its `pyro.markov` declares.

Enumeration gives a latent the dim of one that is out of reach. A site that reads the older one all the same
reads both along one dim, and the sum comes out wrong. So the program is run once with the first latents kept
in reach for good, each in a dim of its own, and what every site depends on is read off the shapes.

Shapes: S values of a latent.
"""

from collections.abc import Callable
from typing import Any

from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample

from hardpp.errors import UsageError
from hardpp.inference.weights.alone import undisturbed
from hardpp.inference.weights.particles import ProgramFailure
from hardpp.inference.weights.sample_sites import Site, sample_sites
from hardpp.types import Program

MOST = 10**6  # values that all latents in reach may take together
LEAST = 3  # latents that are kept in reach in any case


def check_reach(program: Program, enumerated: Callable[[Program], Any]) -> None:
    """Refuses a program one of whose first steps looks back further than it declares.

    Args:
        program: the program, without its arguments.
        enumerated: runs a program with every latent enumerated, and returns its trace.
    """
    kept = _Kept()
    try:
        with undisturbed(program):
            sites = sample_sites(enumerated(kept(program)))
    except ProgramFailure:  # it does not take more dims than it declares, as with torch.gather
        return
    latent_at = {sites[name]["infer"].get("_enumerate_dim"): name for name in kept.first if name in sites}
    for name, reach in kept.reach.items():
        if name not in sites:
            continue
        for dim in _held(sites[name]):
            read = latent_at.get(dim)
            if read is not None and read != name and read not in reach:
                raise UsageError(
                    f"site {name!r} depends on {read!r}, which pyro.markov has let go of: give "
                    "pyro.markov, in model and guide, a history of as many steps as a step looks back"
                )


class _Kept(Messenger):
    """Keeps the first latents within the reach of all later sites, and remembers what was declared."""

    def __init__(self) -> None:
        super().__init__()
        self.first: list[str] = []  # the latents that are kept
        self.values = 1
        self.depths: dict[str, int] = {}
        self.reach: dict[str, set[str]] = {}  # of every site in pyro.markov, as declared

    def _pyro_sample(self, site: Any) -> None:
        scope = site["infer"].get("_markov_scope")
        if scope is None or site_is_subsample(site):
            return
        name = site["name"]
        self.reach[name] = {other for other, depth in scope.items() if self.depths.get(other) == depth}
        self.depths[name] = site["infer"]["_markov_depth"]
        for other in self.first:
            scope[other] = self.depths[other]
        if not site["is_observed"] and (len(self.first) < LEAST or self.values < MOST):
            self.first.append(name)
            self.values *= _count(site["fn"])


# How many values an element of a latent has.
def _count(fn: Any) -> int:
    try:
        return len(fn.enumerate_support(expand=False))
    except NotImplementedError:
        return 1


# The dims left of its plates that a site depends on.
def _held(site: Site) -> list[int]:
    events = len(site["fn"].event_shape)
    value = site["value"].shape[: site["value"].dim() - events]
    shapes = (site["fn"].batch_shape, value)
    return sorted({i - len(shape) for shape in shapes for i, size in enumerate(shape) if size > 1})
