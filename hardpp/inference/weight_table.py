"""From two traces to one dense weight table.

A sampled objective is a formula over the terms log p and log q of every particle. The table holds
them by *stage*: stage 0 is what a program does before its first latent, stage s what it does from
the s-th latent of the guide up to the next one. A term of an earlier stage cannot depend on a later
latent (a program runs forwards), so sums over stages >= s are all that the s-th latent is to be
credited with: the causal credit of `pyro.infer.TraceGraph_ELBO`, without its provenance.

Source: Schulman et al. (2015), Gradient Estimation Using Stochastic Computation Graphs.
Shapes: K particles, I instances (the vectorised plates that all sites of both programs share; the
outermost is the data plate), N stages.
"""

from typing import Any, NamedTuple

import torch
from pyro.poutine import Trace
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.errors import UsageError

PARTICLES = "num_particles_vectorized"  # Pyro's own name for the plate over particles


class WeightTable(NamedTuple):
    """Log-probabilities of every particle, in nats, masked and unscaled, float32 or wider."""

    log_p: Tensor  # (K, *I, N) model terms
    log_q: Tensor  # (K, *I, N) guide terms, column s of the s-th latent
    score: Tensor  # (K, *I, N) log q of the latents that are not reparameterised, else 0
    scale: float | Tensor  # what plates and poutine.scale multiply every term with


def tabulate(model_trace: Trace, guide_trace: Trace, particles: int, nesting: int) -> WeightTable:
    """Fills the table; the model may have more particles than the guide (extra rows come last).

    Raises:
        UsageError: a latent of one program is missing in the other or in other plates there, or the
            sites' scales differ.
    """
    model_sites, guide_sites = sample_sites(model_trace), sample_sites(guide_trace)
    check_same_latents(model_sites, guide_sites)
    latents = list(guide_sites)
    sites = [*model_sites.values(), *guide_sites.values()]
    instances = _common_dims(sites)
    guide_terms = {name: _term(guide_sites[name], nesting, instances) for name in latents}
    stages = {name: stage for stage, name in enumerate(latents, start=1)}
    columns: list[list[Tensor]] = [[] for _ in range(len(latents) + 1)]
    reached = 0
    for name, site in model_sites.items():
        reached = max(reached, stages.get(name, 0))
        columns[reached].append(_term(site, nesting, instances))
    shapes = [term.shape for column in columns for term in column]
    zero = guide_terms[latents[0]].new_zeros(()) if latents else columns[0][0].new_zeros(())
    none = zero.expand(max(shape[0] for shape in shapes), *shapes[0][1:])
    log_p = torch.stack([sum(column, none) for column in columns], -1)
    none = none[:particles]
    log_q = [guide_terms[name].expand_as(none) for name in latents]
    score = [
        none if _is_reparameterised(guide_sites[name]) else term
        for name, term in zip(latents, log_q, strict=True)
    ]
    return WeightTable(
        log_p, torch.stack([none, *log_q], -1), torch.stack([none, *score], -1), common_scale(sites)
    )


def check_same_latents(
    model_sites: dict[str, dict[str, Any]], guide_sites: dict[str, dict[str, Any]]
) -> None:
    """Both programs must draw the same latents in the same plates, and the guide nothing else.

    Raises:
        UsageError: they do not; the message names the site.
    """
    for name, site in guide_sites.items():
        if site["is_observed"]:
            raise UsageError(f"the guide observes site {name!r}, but a guide only draws latents")
    latents = guide_sites
    for name, site in model_sites.items():
        if not site["is_observed"] and name not in latents:
            raise UsageError(f"the model's latent site {name!r} is missing in the guide")
    for name, site in latents.items():
        if name not in model_sites:
            raise UsageError(f"the guide's site {name!r} is missing in the model")
        there, here = _plate_shape(model_sites[name]), _plate_shape(site)
        if there != here:
            raise UsageError(
                f"site {name!r} has shape {there} in the model's plates but {here} in the guide's"
            )
        outer, inner = _plate_names(model_sites[name]), _plate_names(site)
        if outer != inner:  # per-datum bounds need to know which plates are the same
            raise UsageError(f"site {name!r} is in the plates {outer} of the model but {inner} of the guide")


def _plate_shape(site: dict[str, Any]) -> tuple[int, ...]:
    frames = [f for f in site["cond_indep_stack"] if f.vectorized and f.name != PARTICLES]
    # A replayed plate of another size counts as a subsample of the guide's: its full size tells.
    sizes = {f.dim: f.full_size or f.size for f in frames}
    return tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))


def _plate_names(site: dict[str, Any]) -> tuple[str, ...]:
    frames = [f for f in site["cond_indep_stack"] if f.vectorized and f.name != PARTICLES]
    return tuple(frame.name for frame in sorted(frames, key=lambda frame: frame.dim))


def _is_reparameterised(site: dict[str, Any]) -> bool:
    return bool(getattr(site["fn"], "has_rsample", False))


def common_scale(sites: list[dict[str, Any]]) -> float | Tensor:
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


def per_instance_sum(terms: Tensor, leading: int) -> Tensor:
    """Sums everything right of the data plate: (*leading, B, ...) -> (*leading, B)."""
    return terms.flatten(leading + 1).sum(-1) if terms.dim() > leading + 1 else terms


def site_log_prob(site: dict[str, Any]) -> Tensor:
    """A site's log-probability in nats, masked, unscaled, and never narrower than float32."""
    log_prob: Tensor = site["fn"].log_prob(site["value"])
    if log_prob.dtype in (torch.bfloat16, torch.float16):
        log_prob = log_prob.float()
    mask = site["mask"]
    if mask is None or mask is True:
        return log_prob
    if mask is False:
        return torch.zeros_like(log_prob)
    return log_prob.where(mask, log_prob.new_zeros(()))


def sample_sites(trace: Trace) -> dict[str, dict[str, Any]]:
    """The sites that carry probability, by name, in program order."""
    return {
        name: site
        for name, site in trace.nodes.items()
        if site["type"] == "sample"
        and not site_is_subsample(site)
        and not site["infer"].get("_deterministic")
    }


def _common_dims(sites: list[dict[str, Any]]) -> list[int]:
    frames = [{(f.name, f.dim) for f in site["cond_indep_stack"] if f.vectorized} for site in sites]
    return sorted(dim for name, dim in set.intersection(*frames) if name != PARTICLES)


# (K, *I): the particle dim comes first whether or not the site has one; plates that only some
# sites share are summed out.
def _term(site: dict[str, Any], nesting: int, instances: list[int]) -> Tensor:
    log_prob = site_log_prob(site)
    if log_prob.dim() < nesting + 1:
        log_prob = log_prob.reshape((1,) * (nesting + 1 - log_prob.dim()) + log_prob.shape)
    summed = [dim for dim in range(-nesting, 0) if dim not in instances]
    return log_prob.sum(summed) if summed else log_prob
