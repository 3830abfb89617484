"""Programs with every latent enumerated.

Each latent holds all its values at once, in a dim of its own left of the plates, and whatever depends on
it gets that dim too. `hardpp.inference.sums.factor_graph` gives the dims names.

In `pyro.markov` a latent gets the dim of one that is out of reach. Its `history` is taken at its word: a
step that looks back further is refused where it meets its own dim, h + 1 steps back for a history of h, but
not everywhere.
"""

from math import prod
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import MaskedDistribution
from pyro.poutine import Trace
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample

from hardpp.errors import ResourceError, UsageError, out_of_memory
from hardpp.inference.weights.model_guide_match import replayed
from hardpp.inference.weights.particles import check_plates, failures_of, traced
from hardpp.inference.weights.sample_sites import SUMMED, Site, plates_of, sample_sites
from hardpp.types import Program

MOST_DIMS = 64  # of a tensor in torch


def enumerated_trace(program: Program, nesting: int, args: Any, kwargs: Any) -> Trace:
    """Runs a program with every latent enumerated; plates take `nesting` dims.

    Refuses latents whose values cannot be listed, and more outside `pyro.markov` than a tensor has dims.
    """
    if not callable(program):
        raise UsageError(f"{program!r} is no program")
    every = _EveryValue(nesting)
    tracing = poutine.trace(every(InSight()(program)))
    with EnumMessenger(-1 - nesting), failures_of("program", tracing.msngr):
        try:
            return tracing.get_trace(*args, **kwargs)
        except NotImplementedError as fault:
            if every.latest is None or lists_values(every.latest["fn"]):
                raise  # not the latent's fault
            raise not_enumerable(every.latest) from fault
        except (RuntimeError, MemoryError) as fault:
            if not out_of_memory(fault):
                raise
            raise _too_large(tracing.trace) from fault


def replayed_trace(program: Program, guide_trace: Trace, nesting: int, args: Any, kwargs: Any) -> Trace:
    """Runs a model at the enumerated latents of a guide."""
    # A messenger of its own keeps the model's pyro.markov apart from the guide's.
    enumerated = _Plates(nesting)(EnumMessenger()(InSight()(program)))
    return traced(replayed(enumerated, guide_trace), "model", args, kwargs)


# Memory has run out while a program computed with all values of its latents.
def _too_large(trace: Trace) -> ResourceError:
    sizes = {
        name: site["value"].numel() for name, site in sample_sites(trace).items() if SUMMED in site["infer"]
    }
    shown = " x ".join(f"{name} ({size})" for name, size in [*sizes.items()][-8:])
    return ResourceError(
        f"memory ran out while the program computed with all values of its latents at once, up to "
        f"{prod(sizes.values()):.3g} combinations of {shown}"
    )


class _Plates(Messenger):
    """Refuses plates where values are to be."""

    def __init__(self, nesting: int):
        super().__init__()
        self.nesting = nesting

    def _pyro_sample(self, site: Site) -> None:
        check_plates(site, self.nesting)


class InSight(Messenger):
    """Takes sites that a poutine.block hides out of the reach of later steps: no enumeration knows them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def _pyro_sample(self, site: Site) -> None:
        reach = site["infer"].get("_markov_scope", {})
        for name in [name for name in reach if name not in self.names]:
            del reach[name]
        self.names.add(site["name"])


class _EveryValue(Messenger):
    """Asks for all values of every latent; refuses a latent that has no list of them."""

    def __init__(self, nesting: int):
        super().__init__()
        self.nesting, self.dims = nesting, nesting + 1  # Categorical holds its probabilities in one dim more
        self.latest: Site | None = None

    def _pyro_sample(self, site: Site) -> None:
        check_plates(site, self.nesting)
        if site["is_observed"] or site_is_subsample(site):
            return
        if not getattr(site["fn"], "has_enumerate_support", False):
            raise not_enumerable(site)
        if "_markov_scope" not in site["infer"]:  # a dim that is never used again
            self.dims += 1
        if self.dims > MOST_DIMS:
            raise UsageError(
                f"site {site['name']!r} is one latent too many: a tensor has at most {MOST_DIMS} dims, and "
                "every latent takes one unless the loop over steps is written with pyro.markov"
            )
        # Nothing is drawn, whatever else the program may have asked for.
        site["infer"].update({"enumerate": "parallel", "num_samples": None})
        self.latest = site


def lists_values(fn: Any) -> bool:
    """Has a distribution a list of its values?"""
    try:
        fn.enumerate_support(expand=False)
    except NotImplementedError:
        return False
    return True


def not_enumerable(site: Site) -> UsageError:
    """What is said of a latent whose values cannot be listed."""
    fn, plates = site["fn"], tuple(plate.name for plate in plates_of(site))
    expected = "a latent with a finite list of values, such as Categorical, Bernoulli or Binomial"
    base = _unmasked(fn)
    if isinstance(base, torch.distributions.Independent) and lists_values(_unmasked(base.base_dist)):
        expected = "each of its elements in a plate or a step of pyro.markov, and none in an event dim"
    events = f" with event shape {tuple(fn.event_shape)}" if fn.event_shape else ""
    where = f"in the plates {plates}" if plates else "in no plate"
    return UsageError(
        f"site {site['name']!r} is {_kind(base)}{events} {where}, whose values cannot be enumerated: "
        f"exact and enum want {expected}"
    )


def _kind(fn: Any) -> str:
    name = type(fn).__name__
    inside = isinstance(fn, torch.distributions.Independent)
    return f"{name} of {_kind(_unmasked(fn.base_dist))}" if inside else name


def _unmasked(fn: Any) -> Any:
    return _unmasked(fn.base_dist) if isinstance(fn, MaskedDistribution) else fn
