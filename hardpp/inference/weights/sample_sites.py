"""The sites of a trace that carry probability, one by one."""

from typing import Any, NamedTuple

import torch
from pyro.distributions import Delta, MaskedDistribution
from pyro.poutine import Trace
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.distributions.recorded import Recorded
from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.ops.precision import at_least_single

PARTICLES = "num_particles_vectorized"  # Pyro's own name for the plate over particles
DRAWN_AS = "drawn_as"  # key of a replayed site's infer: the name of the guide's distribution
SUMMED = "_enumerate_dim"  # Pyro's key of the infer of a latent that is summed out
WITHIN_SUM = "within_sum"  # key of a drawn site's infer: its term is in a sum over latents that are not drawn
SAME_RUN = "same_run"  # key of a model's site: the guide's, that one run has drawn and scored
APART = "depends_on_no_draw"  # key of a site's infer: its distribution is the same for all particles

Site = dict[str, Any]  # a node of a trace


class Plate(NamedTuple):
    """A plate that a site is in; model and guide have the same ones."""

    name: str
    dim: int | None  # negative; None of a sequential plate, which is a loop in Python


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
    """The vectorised plates that a site is in, the outermost first, without that of the particles."""
    return [frame for frame in site["cond_indep_stack"] if frame.vectorized and frame.name != PARTICLES]


def all_plates_of(site: Site) -> list[Plate]:
    """The plates that a site is in, sequential ones too, the outermost first."""
    return [Plate(frame.name, frame.dim) for frame in site["cond_indep_stack"] if frame.name != PARTICLES]


def named(plates: Any) -> str:
    """Plates for a message, by name."""
    return ", ".join(repr(plate.name) for plate in plates)


def steps_of(site: Site) -> int | None:
    """T of a `StepIndependent` site, None for any other."""
    return int(site["fn"].event_shape[0]) if isinstance(site["fn"], StepIndependent) else None


def mask_of(site: Site, device: torch.device) -> Tensor | None:
    """Where `poutine.mask` lets a site count, bool; None where it is not masked."""
    mask = site["mask"]
    return None if mask is None or mask is True else torch.as_tensor(mask, device=device)


def has_own_mask(fn: Any) -> bool:
    """Has a distribution a mask of its own (`fn.mask`), besides `poutine.mask`?"""
    return isinstance(fn.base_dist if isinstance(fn, StepIndependent) else fn, MaskedDistribution)


def elements(site: Site) -> tuple[Any, Tensor | None]:
    """The distribution of each element of a site, or of each step, and which of them count (None: all)."""
    fn, device = site["fn"], site["value"].device
    counts = mask_of(site, device)
    if isinstance(fn, StepIndependent):
        fn, counts = fn.base_dist, None if counts is None else counts.unsqueeze(-1)
    while isinstance(fn, MaskedDistribution | Recorded):
        if isinstance(fn, Recorded):
            fn = fn.base
            continue
        own = torch.as_tensor(fn._mask, device=device)
        counts, fn = own if counts is None else counts & own, fn.base_dist
    return fn, counts


def recorded_at(site: Site) -> Tensor | None:
    """Which elements of a site were recorded and not drawn, bool, for all steps alike; None: none was."""
    fn = site["fn"]
    while isinstance(fn, MaskedDistribution):
        fn = fn.base_dist
    return fn.recorded if isinstance(fn, Recorded) else None


def as_model_site(site: Site) -> Site:
    """A latent of a model that has drawn it for the guide, too: what was recorded is scored like the rest."""
    if recorded_at(site) is None:
        return site
    return {**site, "fn": _drawn_elsewhere(site["fn"]), SAME_RUN: site}


def _drawn_elsewhere(fn: Any) -> Any:
    return _drawn_elsewhere(fn.base_dist).mask(fn._mask) if isinstance(fn, MaskedDistribution) else fn.base


def same_run(guide_site: Site, model_site: Site | None) -> bool:
    """Has one run drawn a latent and scored it?"""
    return model_site is not None and model_site.get(SAME_RUN, model_site) is guide_site


def to_be_drawn(site: Site) -> Tensor | None:
    """Which elements of a site count and were not recorded, bool; None: all."""
    counts, recorded = elements(site)[1], recorded_at(site)
    if recorded is None:
        return counts
    drawn = ~(recorded if steps_of(site) is None else recorded.unsqueeze(-1))
    return drawn if counts is None else counts & drawn


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


def prior_unknown(name: str) -> UsageError:
    """What is said of a latent whose prior is asked for, and is within a sum."""
    return UsageError(
        f"latent site {name!r} depends on a latent that is summed out, so that its prior is not known apart "
        "from what is observed: the guide is to draw that one, too"
    )


def expanded(fn: Any, shape: Any) -> Any:
    """A distribution of a larger batch shape, which keeps what `has_rsample_` said of the given one."""
    new, old = fn.expand(shape), fn
    wider = new
    while new.has_rsample != old.has_rsample and hasattr(new, "base_dist"):
        new, old = new.base_dist, old.base_dist
    if new.has_rsample != old.has_rsample:
        new.has_rsample = old.has_rsample
    return wider


def different_scale(sites: list[Site]) -> Site | None:
    """The first of the sites whose scale, by plates and poutine.scale, is not that of the first one."""
    first = sites[0]["scale"]
    for site in sites[1:]:
        if not (site["scale"] is first or _equal(site["scale"], first)):
            return site
    return None


def common_scale(sites: list[Site]) -> float | Tensor:
    """The one scale that plates and poutine.scale give to all sites: a number, or (*plates).

    Raises:
        UsageError: two sites have different scales.
    """
    other, first = different_scale(sites), sites[0]
    if other is not None:
        raise UsageError(
            f"site {other['name']!r} is scaled by {_shown(other['scale'])} but site {first['name']!r} by "
            f"{_shown(first['scale'])}; all sites must share one poutine.scale and subsampling factor"
        )
    scale: float | Tensor = first["scale"]
    return scale


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    same = one == other
    return bool(same.all()) if isinstance(same, Tensor) else same


def _shown(scale: Any) -> str:
    if isinstance(scale, Tensor) and scale.numel() > 1:
        return f"a tensor of shape {tuple(scale.shape)}"
    return str(float(scale))


def is_delta(fn: Any) -> bool:
    """Is a distribution one value, whatever it is wrapped in?"""
    while hasattr(fn, "base_dist") and not isinstance(fn, Delta):
        fn = fn.base_dist
    return isinstance(fn, Delta)
