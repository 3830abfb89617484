"""The sites of a trace that carry probability, one by one."""

from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from pyro.poutine import Trace
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.ops.precision import at_least_single

PARTICLES = "num_particles_vectorized"  # Pyro's own name for the plate over particles

Site = dict[str, Any]  # a node of a trace


def sample_sites(trace: Trace) -> dict[str, Site]:
    """The sites that carry probability, by name, in program order."""
    return {
        name: site
        for name, site in trace.nodes.items()
        if site["type"] == "sample"
        and not site_is_subsample(site)
        and not site["infer"].get("_deterministic")
    }


def plates_of(site: Site) -> list[Any]:
    """The vectorised plates that a site is in, without that of the particles."""
    return [frame for frame in site["cond_indep_stack"] if frame.vectorized and frame.name != PARTICLES]


def steps_of(site: Site) -> int | None:
    """T of a `StepIndependent` site, None for any other."""
    return int(site["fn"].event_shape[0]) if isinstance(site["fn"], StepIndependent) else None


def mask_of(site: Site, device: torch.device) -> Tensor | None:
    """Where `poutine.mask` lets a site count, bool; None where it is not masked."""
    mask = site["mask"]
    return None if mask is None or mask is True else torch.as_tensor(mask, device=device)


def elements(site: Site) -> tuple[Any, Tensor | None]:
    """The distribution of each element of a site, or of each step, and which of them count (None: all)."""
    fn, device = site["fn"], site["value"].device
    counts = mask_of(site, device)
    if isinstance(fn, StepIndependent):
        fn, counts = fn.base_dist, None if counts is None else counts.unsqueeze(-1)
    while isinstance(fn, MaskedDistribution):
        own = torch.as_tensor(fn._mask, device=device)
        counts, fn = own if counts is None else counts & own, fn.base_dist
    return fn, counts


def site_log_prob(site: Site, *, steps: bool = False) -> Tensor:
    """A site's log-probability in nats, masked, unscaled, and never narrower than float32.

    With `steps` that of a `StepIndependent` site comes by step, with a dim T to the right of the plates.
    """
    fn, mask = site["fn"], site["mask"]
    by_step = steps and isinstance(fn, StepIndependent)
    terms = at_least_single((fn.step_log_prob if by_step else fn.log_prob)(site["value"]))
    if mask is None or mask is True:
        return terms
    if mask is False:
        return torch.zeros_like(terms)
    return terms.where(mask.unsqueeze(-1) if by_step else mask, terms.new_zeros(()))


def common_scale(sites: list[Site]) -> float | Tensor:
    """The one scale that plates and poutine.scale give to all sites.

    Raises:
        UsageError: two sites have different scales.
    """
    first = sites[0]
    for site in sites[1:]:
        if site["scale"] is not first["scale"] and site["scale"] != first["scale"]:
            raise UsageError(
                f"site {site['name']!r} is scaled by {float(site['scale'])} but site {first['name']!r} by "
                f"{float(first['scale'])}; all sites must share one poutine.scale and subsampling factor"
            )
    scale: float | Tensor = first["scale"]
    return scale
