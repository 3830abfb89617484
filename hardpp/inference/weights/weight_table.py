"""Weight tables: log p and log q of every particle, by stages of the program.

A sampled objective is a formula over such a table, which `tabulate` makes of the traces of both programs:

- `Layout` knows which plates all sites share; one element of them is an instance, with weights of its own;
- `Stages` (`hardpp.inference.weights.stages`) says which column a term of a site belongs to;
- `Latent` is a latent site as both programs have it, for whoever wants more of it than its terms.

Shapes: K particles, I instances (the vectorised plates that all sites of both programs share; the
outermost is the data plate), N stages, T steps of a `StepIndependent` site.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.model_guide_match import check_same_latents
from hardpp.inference.weights.sample_sites import (
    Site,
    common_scale,
    elements,
    plates_of,
    sample_sites,
    site_log_prob,
    steps_of,
)
from hardpp.inference.weights.stages import Stages, side_by_side


class Layout(NamedTuple):
    """How log-probabilities of sites become (K, *I): what the programs' plates are."""

    nesting: int  # dims that plates take
    instances: list[int]  # negative dims of the plates that all sites share

    def place(self, terms: Tensor, steps: bool = False) -> Tensor:
        """Sums the plates that only some sites share out of (..., *plates): (K or 1, *I).

        With `steps` the terms have a step dim to the right of the plates, which stays.
        """
        dims = self.nesting + steps
        if terms.dim() < dims + 1:
            terms = terms.reshape((1,) * (dims + 1 - terms.dim()) + terms.shape)
        summed = [dim - steps for dim in range(-self.nesting, 0) if dim not in self.instances]
        return terms.sum(summed) if summed else terms

    def term(self, site: Site) -> Tensor:
        """A site's log-probability, (K or 1, *I), or (K or 1, *I, T) by step."""
        return self.place(site_log_prob(site, steps=True), steps_of(site) is not None)


class Latent(NamedTuple):
    """A latent site, as both programs have it."""

    guide: Site
    model: Site
    log_p: Tensor  # the model's own term: (K or 1, *I), or (K or 1, *I, T) if it is stepwise there
    order: int  # its place among the model's sites


class WeightTable(NamedTuple):
    """Log-probabilities of every particle, in nats, masked and unscaled, float32 or wider."""

    log_p: Tensor  # (K, *I, N) model terms
    log_q: Tensor  # (K, *I, N) guide terms, column s of the s-th latent
    score: Tensor  # (K, *I, N) log q of the latents that are not reparameterised, else 0
    scale: float | Tensor  # what plates and poutine.scale multiply every term with
    latents: tuple[Latent, ...]  # in the guide's order
    layout: Layout
    observations: tuple[Site, ...] = ()  # of the model, in its order
    extra: Tensor = torch.empty(0)  # (rows, *I, N) model terms of rows that are no particles
    args: tuple[Any, ...] = ()  # what the programs were called with
    kwargs: Mapping[str, Any] = MappingProxyType({})

    @property
    def stage_weights(self) -> Tensor:
        """What each stage adds to log p - log q of every particle, detached: (K, *I, N)."""
        return (self.log_p - self.log_q).detach()

    @property
    def log_weights(self) -> Tensor:
        """log p - log q of every particle, detached: (K, *I)."""
        return self.stage_weights.sum(-1)

    @property
    def guide_is_prior(self) -> bool:
        """Did one run of the model draw the latents and score them? log p(z) and log q(z) are then one."""
        return all(latent.guide is latent.model for latent in self.latents)

    @property
    def log_prior(self) -> Tensor:
        """log p(z), what is in `log_p` of the model's own terms of its latents: (K, *I, N)."""
        stages = Stages({latent.guide["name"]: latent.guide for latent in self.latents})
        for latent in sorted(self.latents, key=lambda latent: latent.order):
            stages.add(latent.guide["name"], latent.model, latent.log_p)
        return stages.sums(self.log_p.new_zeros(()).expand(self.log_p.shape[:-1]))

    @property
    def live(self) -> Tensor:
        """Is there an unmasked latent in a stage? Bool (K, *I, N), False in stage 0."""
        none = self.log_q.new_zeros((), dtype=torch.bool)
        columns = [none]
        for latent in self.latents:
            (_, counts), steps = elements(latent.guide), steps_of(latent.guide)
            counts = ~none if counts is None else counts
            if steps is not None:
                counts = counts.expand(*counts.shape[:-1], steps)
            columns.append(self.layout.place(counts.long(), steps is not None) > 0)
        return side_by_side(columns, self.log_q.shape[:-1])

    @property
    def values(self) -> Tensor:
        """What the latents are, by stage from the first: (K, *I, N - 1).

        Raises:
            UsageError: a latent has event dims, or is in a plate that other sites do not share.
        """
        columns = []
        for latent in self.latents:
            site, stepwise = latent.guide, steps_of(latent.guide) is not None
            events, plates = len(site["fn"].event_shape) - stepwise, [plate.dim for plate in plates_of(site)]
            if events or not set(plates) <= set(self.layout.instances):
                raise UsageError(
                    f"latent site {site['name']!r} has {events} event dims in plates {plates}: "
                    f"a scalar in plates {self.layout.instances}, which all sites share, is wanted"
                )
            columns.append(self.layout.place(site["value"], stepwise))
        return side_by_side(columns, self.log_q.shape[:-1])


def tabulate(model_trace: Trace, guide_trace: Trace, particles: int, nesting: int) -> WeightTable:
    """Fills the table; the model may have more particles than the guide (extra rows come last).

    Raises:
        UsageError: a latent of one program is missing in the other or in other plates there, the sites'
            scales differ, or there are several particles and no latents.
    """
    model_sites, guide_sites = sample_sites(model_trace), sample_sites(guide_trace)
    check_same_latents(model_sites, guide_sites)
    if particles > 1 and not guide_sites:
        raise UsageError(f"the programs draw no latents, in which {particles} particles could differ")
    sites = [*model_sites.values(), *guide_sites.values()]
    shared = set.intersection(*({(plate.name, plate.dim) for plate in plates_of(site)} for site in sites))
    layout = Layout(nesting, sorted(dim for _, dim in shared))
    of_model = {name: layout.term(site) for name, site in model_sites.items()}
    log_q = [layout.term(site) for site in guide_sites.values()]
    terms = [*of_model.values(), *log_q]
    rows, plates = max(map(len, terms)), terms[0].shape[1 : 1 + len(shared)]
    none = terms[-1].new_zeros(()).expand(rows, *plates)
    stages = Stages(guide_sites)
    for name, site in model_sites.items():
        stages.add(name, site, of_model[name])
    log_p = stages.sums(none)
    none = none[:particles]
    score = [
        term.new_zeros(()).expand_as(term) if getattr(site["fn"], "has_rsample", False) else term
        for site, term in zip(guide_sites.values(), log_q, strict=True)
    ]
    order = {name: place for place, name in enumerate(model_sites)}
    latents = tuple(
        Latent(site, model_sites[name], of_model[name][:particles], order[name])
        for name, site in guide_sites.items()
    )
    return WeightTable(
        log_p[:particles],
        side_by_side([none, *log_q], none.shape),
        side_by_side([none, *score], none.shape),
        common_scale(sites),
        latents,
        layout,
        tuple(site for site in model_sites.values() if site["is_observed"]),
        log_p[particles:],
    )


def per_instance_sum(terms: Tensor, leading: int) -> Tensor:
    """Sums everything right of the data plate: (*leading, B, ...) -> (*leading, B)."""
    return terms.flatten(leading + 1).sum(-1) if terms.dim() > leading + 1 else terms
