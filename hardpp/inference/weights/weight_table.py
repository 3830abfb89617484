"""Weight tables: log p and log q of every particle, by stages of the program.

A sampled objective is a formula over such a table, which `tabulate` makes of the traces of both programs:

- a `Layout` says which plates the table keeps; one element of them is an instance, with weights of its own;
- `Stages` says which column a term of a site belongs to;
- a `Latent` is a latent site as both programs have it, for whoever wants more of it than its terms.

The table of importance weights keeps the plates that all sites share which depend on a draw. What depends on
none, and is outside of these plates, is the same for all particles, and is kept apart (`constant`). A bound
that is a sum over sites may credit a latent with less than an instance: `credit` has a table for every set of
plates that latents are in (`hardpp.inference.weights.credit`).

Shapes: K particles, I instances, N stages, T steps of a `StepIndependent` site.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.layout import Layout, Term
from hardpp.inference.weights.sample_sites import (
    WITHIN_SUM,
    Site,
    all_plates_of,
    named,
    prior_unknown,
    same_run,
    steps_of,
    to_be_drawn,
)
from hardpp.inference.weights.stages import Stages, side_by_side

Terms = Mapping[str, tuple[Term, Site]]  # of sites by name, in program order


class Latent(NamedTuple):
    """A site of the guide, as both programs have it."""

    guide: Site
    model: Site | None  # None of an auxiliary site or a factor of the guide
    log_p: Tensor  # the model's own term: (K or 1, *I), or (K or 1, *I, T) if it is stepwise there
    order: int  # its place among the model's sites


class WeightTable(NamedTuple):
    """Log-probabilities of every particle, in nats, masked, float32 or wider.

    They are unscaled, and `scale` is what plates and poutine.scale multiply each of them with; but where
    sites have scales of their own, terms of log p and log q are scaled and `scale` is 1.
    """

    log_p: Tensor  # (K, *I, N) model terms
    log_q: Tensor  # (K, *I, N) guide terms, column s of the s-th latent
    score: Tensor  # (K, *I, N) log q, never scaled, of the latents that are not reparameterised, else 0
    scale: float | Tensor  # a number, or (*I)
    latents: tuple[Latent, ...]  # in the guide's order
    layout: Layout
    observations: tuple[Site, ...] = ()  # of the model, in its order
    extra: Tensor = torch.empty(0)  # (rows, *I, N) model terms of rows that are no particles
    args: tuple[Any, ...] = ()  # what the programs were called with
    kwargs: Mapping[str, Any] = MappingProxyType({})
    constant: Tensor | None = None  # (B,), scaled: what the model adds for all particles
    scaled_score: Tensor | None = None  # `score`, scaled as log q is; None: it is `score`
    credited: frozenset[str] | None = None  # the latents that a table of credit is for; None: all
    credit: tuple["WeightTable", ...] = ()  # the tables of credit where they differ from this one
    particles: tuple["WeightTable", ...] = ()  # of one particle each, where they were run one by one

    @property
    def stage_weights(self) -> Tensor:
        """What each stage adds to log p - log q of every particle, detached: (K, *I, N)."""
        return (self.log_p - self.log_q).detach()

    @property
    def log_weights(self) -> Tensor:
        """log p - log q of every particle, detached: (K, *I)."""
        return self.stage_weights.sum(-1)

    @property
    def sound(self) -> Tensor:
        """Is everything finite that the stages of an instance add, of all its particles? Bool (*I).

        Where it is not, a sum over sites has no gradient.
        """
        return self.stage_weights.isfinite().all(-1).all(0)

    @property
    def guide_is_prior(self) -> bool:
        """Did one run of the model draw the latents and score them? Of what it drew log p(z) is log q(z)."""
        return all(same_run(latent.guide, latent.model) for latent in self.latents)

    @property
    def log_prior(self) -> Tensor:
        """log p(z), what is in `log_p` of the model's own terms of its latents: (K, *I, N).

        Raises:
            UsageError: such a term is within a sum, with observations, over latents that are not drawn.
        """
        if self.particles:
            return self.by_particle(lambda table: table.log_prior)
        for latent in self.latents:
            if latent.model is not None and latent.model["infer"].get(WITHIN_SUM):
                raise prior_unknown(latent.guide["name"])
        stages = Stages({latent.guide["name"]: latent.guide for latent in self.latents})
        for latent in sorted(self.latents, key=lambda latent: latent.order):
            if latent.model is not None:
                stages.add(latent.guide["name"], steps_of(latent.model), latent.log_p)
        return stages.sums(self.log_p.new_zeros(()).expand(self.log_p.shape[:-1]))

    @property
    def live(self) -> Tensor:
        """Is there an unmasked latent in a stage, not recorded? Bool (K, *I, N), False in stage 0."""
        if self.particles:
            return self.by_particle(lambda table: table.live)
        none = self.log_q.new_zeros((), dtype=torch.bool)
        columns = [none]
        for latent in self.latents:
            counts, steps, site = to_be_drawn(latent.guide), steps_of(latent.guide), latent.guide
            counts = ~none if counts is None else counts
            if site["is_observed"] or not (self.credited is None or site["name"] in self.credited):
                counts = none
            if steps is not None:
                counts = counts.expand(*counts.shape[:-1], steps)
            columns.append(self.layout.place_at(counts.long(), site, len(self.log_q)) > 0)
        return side_by_side(columns, self.log_q.shape[:-1])

    @property
    def values(self) -> Tensor:
        """What the latents are, by stage from the first: (K, *I, N - 1).

        Raises:
            UsageError: a latent has event dims, or is in a plate that other sites do not share.
        """
        if self.particles:
            return self.by_particle(lambda table: table.values)
        columns, none = [], self.log_q.new_zeros(())  # of a factor of the guide
        for latent in self.latents:
            site, stepwise = latent.guide, steps_of(latent.guide) is not None
            events = len(site["fn"].event_shape) - stepwise
            inside = not events and set(all_plates_of(site)) <= set(self.layout.instances)
            if not (inside or site["is_observed"]):
                raise UsageError(
                    f"latent site {site['name']!r} has {events} event dims in the plates "
                    f"({named(all_plates_of(site))}): a scalar in the plates "
                    f"({named(self.layout.instances)}), which all sites share, is wanted"
                )
            value = none if site["is_observed"] else site["value"]
            columns.append(self.layout.place_at(value, site, len(self.log_q)))
        return side_by_side(columns, self.log_q.shape[:-1])

    def by_particle(self, quantity: Callable[["WeightTable"], Tensor]) -> Tensor:
        """A quantity of each particle's own table, one after the other along K; stages it lacks are 0."""
        return _cat([quantity(table) for table in self.particles])


def columns(
    layout: Layout,
    of_model: Terms,
    of_guide: Terms,
    particles: int,
    *,
    scaled: bool = False,
    credited: frozenset[str] | None = None,
) -> WeightTable:
    """Fills a table of the terms of both programs.

    Args:
        layout: which plates it keeps.
        of_model, of_guide: the terms of every site that carries probability, in program order.
        particles: K; the model may have more rows than the guide, which come last.
        scaled: multiply each term of log p and log q by the scale of its own.
        credited: the latents that have a score; None: all.
    """
    guide_sites = {name: site for name, (_, site) in of_guide.items()}
    placed, log_q = (
        {name: layout.place(term.scaled() if scaled else term) for name, (term, _) in terms.items()}
        for terms in (of_model, of_guide)
    )
    plain = {name: layout.place(term) for name, (term, _) in of_guide.items()} if scaled else log_q
    every = [*placed.values(), *log_q.values()]
    rows = max([particles, *map(len, every)])
    none = torch.zeros(
        (), dtype=reduce(torch.promote_types, [t.dtype for t in every], torch.float32), device=every[0].device
    ).expand(rows, *layout.shape)
    stages = Stages(guide_sites)
    for name, (term, site) in of_model.items():
        stages.add(name, steps_of(site) if term.steps else None, placed[name])
    log_p = stages.sums(none)
    none = none[:particles]
    table = side_by_side([none, *log_q.values()], none.shape)

    def scores(terms: Mapping[str, Tensor]) -> Tensor:
        if terms is log_q and all(_scored(site, credited) for site in guide_sites.values()):
            return table
        out = [
            term if _scored(guide_sites[name], credited) else term.new_zeros(()).expand_as(term)
            for name, term in terms.items()
        ]
        return side_by_side([none, *out], none.shape)

    order = {name: place for place, name in enumerate(of_model)}
    latents = tuple(
        Latent(site, of_model[name][1], placed[name][:particles], order[name])
        if name in of_model
        else Latent(site, None, none, -1)
        for name, site in guide_sites.items()
    )
    return WeightTable(
        log_p[:particles],
        table,
        scores(plain),
        1.0,
        latents,
        layout,
        tuple(site for _, site in of_model.values() if site["is_observed"]),
        log_p[particles:],
        scaled_score=scores(log_q) if scaled else None,
        credited=credited,
    )


def joined(tables: Sequence[WeightTable]) -> WeightTable:
    """The tables of particles that were run one by one, as one table; later stages that one lacks are 0."""
    first = tables[0]
    if len(tables) == 1:
        return first
    scaled = [table.scaled_score for table in tables]
    return first._replace(
        log_p=_cat([table.log_p for table in tables]),
        log_q=_cat([table.log_q for table in tables]),
        score=_cat([table.score for table in tables]),
        scaled_score=None if None in scaled else _cat(scaled),  # type: ignore[arg-type]
        particles=tuple(tables),
    )


def _cat(parts: Sequence[Tensor]) -> Tensor:
    stages = max(part.shape[-1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, stages - part.shape[-1])) for part in parts])


def _scored(site: Site, credited: frozenset[str] | None) -> bool:
    reparameterised = getattr(site["fn"], "has_rsample", False)
    return not reparameterised and (credited is None or site["name"] in credited)
