"""From the traces of both programs to a weight table.

What a site outside of the plates of the latents does to importance weights is decided here:

- if it depends on no draw, it is the same for all particles, and weights stay those of each instance;
- else the elements of a plate are weighed together, and a warning says which site makes it so.

With one particle nothing is weighed, and every bound is a sum over sites.

Shapes: those of `hardpp.inference.weights.weight_table`.
"""

import warnings
from collections.abc import Mapping, Sequence
from itertools import dropwhile
from typing import Any, NamedTuple, Protocol

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.credit import credit_tables
from hardpp.inference.weights.layout import Layout, Term, Where, layout_of, turns_of
from hardpp.inference.weights.like_sites import log_probs_together
from hardpp.inference.weights.model_guide_match import check_same_latents
from hardpp.inference.weights.particles import FAULTS, failures_of
from hardpp.inference.weights.sample_sites import (
    SUMMED,
    WITHIN_SUM,
    Site,
    common_scale,
    different_scale,
    sample_sites,
    site_log_prob,
)
from hardpp.inference.weights.weight_table import Terms, WeightTable, columns, joined
from hardpp.types import Program


class Sums(Protocol):
    """What sums out latents of a model that its guide does not draw."""

    needed: bool  # has a model had such latents?

    def chooses(self, name: str, infer: Mapping[str, Any]) -> bool:
        """Is this latent to be summed out?"""

    def enumerated(self, model: Program, draws: Trace, left: int) -> Program:
        """The model with such latents enumerated, in dims from `left` on to the left."""

    def holds(self, site: Site, layout: Layout) -> bool:
        """Is a site summed out, or does it depend on one that is?"""

    def terms(self, trace: Trace, sites: Mapping[str, Site], layout: Layout) -> Terms:
        """What takes the place of all sites that are held."""


class Weighing(NamedTuple):
    """How terms of sites become weights.

    Attributes:
        nesting: how many dims plates take.
        data_plate: the name of the plate of data, if it is not the outermost.
        additive: is the bound a sum over sites? Sites may then have scales of their own, and latents are
            credited in the plates that they are in.
        sums: what sums out latents of the model that the guide does not draw; None: they are refused.
    """

    nesting: int
    data_plate: str | None = None
    additive: bool = False
    sums: Sums | None = None


def tabulate(
    pairs: Sequence[tuple[Trace, Trace]], particles: int, how: Weighing, extra: int = 0
) -> WeightTable:
    """Fills the table of traces of model and guide.

    Args:
        pairs: one, or one a particle where they were run one by one.
        particles: K, in each of the pairs.
        how: what their plates are, and what is weighed.
        extra: rows that the model has besides the particles; they come last.

    Raises:
        UsageError: a latent of one program is missing in the other; a dim of a site is none of its plates;
            there is no plate of data, or a site that depends on draws is outside of the one that was named;
            the sites' scales differ where the bound is no sum over sites.
    """
    runs = [(sample_sites(model), sample_sites(guide)) for model, guide in pairs]
    for model_sites, guide_sites in runs:
        check_same_latents(model_sites, guide_sites)
    of_all = [site for model, guide in runs for site in [*guide.values(), *model.values()]]
    if not of_all:
        raise UsageError("the programs have no sample sites")
    reader = Layout(how.nesting, turns=turns_of(of_all), known={})
    terms = [
        (
            _model_terms(trace, model, reader, particles + extra, how.sums),
            _terms("guide", guide, reader, particles),
        )
        for (trace, _), (model, guide) in zip(pairs, runs, strict=True)
    ]
    latents = [each for _, guide in terms for each in guide.values() if not each[1]["is_observed"]]
    one_by_one, single = len(runs) > 1, len(runs) * particles + extra == 1
    # A particle that is run alone does not tell what depends on it, but for what comes before all draws.
    unknown = one_by_one or (single and not how.additive)
    dependent = [
        each
        for model, _ in terms
        for each in (_from_first_draw(model) if unknown else model.values())
        if unknown or len(each[0].value) > 1
    ]
    every = [each for model, guide in terms for each in [*guide.values(), *model.values()]]
    weighed = [*latents, *dependent] or [each for each in every if each[0].where.plates] or every
    layout = layout_of(reader, [term.where for term, _ in weighed], how.data_plate)
    _check_joint(layout, weighed, every, not single, how)
    outside = {
        name
        for model, guide in terms
        for name, (term, _) in model.items()
        if name not in guide and not term.where.sizes_of.keys() >= set(layout.instances)
    }
    inside = [model for model, _ in terms]
    if outside:
        inside = [{name: each for name, each in model.items() if name not in outside} for model in inside]
    pairs_of_terms = [(model, guide) for model, (_, guide) in zip(inside, terms, strict=True)]
    credited = terms if single else pairs_of_terms
    scale = _scale(
        layout, [site for both in credited for each in both[::-1] for _, site in each.values()], how
    )
    scaled = scale is None
    table = joined([columns(layout, *both, particles, scaled=scaled) for both in pairs_of_terms])
    constant = _constant(layout, [terms[0][0][name] for name in outside if name in terms[0][0]])
    observations = tuple(site for site in runs[0][0].values() if site["is_observed"])
    table = table._replace(
        scale=1.0 if scale is None else scale, constant=constant, observations=observations
    )
    finer = any(term.where.sizes_of.keys() != set(layout.instances) for term, _ in latents)
    if not (how.additive and latents and (finer or (single and outside))):
        return table
    groups = [credit_tables(layout, *both, particles, scaled=scaled) for both in credited]
    if len({tuple(each.layout.instances for each in group) for group in groups}) > 1:
        return table  # one by one, particles may have latents in other plates
    return table._replace(credit=tuple(joined(tables) for tables in zip(*groups, strict=True)))


def _model_terms(
    trace: Trace, sites: Mapping[str, Site], layout: Layout, rows: int, sums: Sums | None
) -> Terms:
    if sums is None or not any(SUMMED in site["infer"] for site in sites.values()):
        return _terms("model", sites, layout, rows)
    held = {name: site for name, site in sites.items() if sums.holds(site, layout)}
    other = _terms("model", {n: site for n, site in sites.items() if n not in held}, layout, rows)
    terms: dict[str, tuple[Term, Site]] = {}
    for name in sites:  # a sum may depend on all that was drawn before the last of its sites
        if name in other:
            terms[name] = other[name]
            continue
        if not sites[name]["is_observed"] and SUMMED not in sites[name]["infer"]:
            # A drawn latent whose own term is within the sum: what comes after it may depend on it.
            site = sites[name] | {"infer": sites[name]["infer"] | {WITHIN_SUM: True}}
            terms[name] = layout.term(torch.zeros((), device=site["value"].device), site), site
        if name == [*held][-1]:
            terms |= sums.terms(trace, held, layout)
    return terms


def _terms(role: str, sites: Mapping[str, Site], layout: Layout, rows: int) -> Terms:
    terms, together = {}, log_probs_together(sites)
    for name, site in sites.items():
        try:
            value = together[name] if name in together else site_log_prob(site, steps=True)
        except FAULTS:  # a context manager at every site would be felt
            with failures_of(f"log-probability of site {name!r} of the {role}"):
                raise
        terms[name] = (layout.term(value, site, rows), site)
    return terms


def _from_first_draw(terms: Terms) -> list[tuple[Term, Site]]:
    return [*dropwhile(lambda each: each[1]["is_observed"], terms.values())]


# What sites add that are outside of plates of the instances, (B,): data share what is outside of theirs.
def _constant(layout: Layout, terms: Sequence[tuple[Term, Site]]) -> Tensor | None:
    data = () if layout.data is None else (layout.data,)
    size = layout.sizes[data[0]] if data else 1
    only = layout._replace(instances=data, sizes=dict.fromkeys(data, size))
    total = None
    for term, _ in terms:
        value = only.place(term.scaled()).reshape(-1)  # (B,) or (1,)
        value = value if term.where.sizes_of.keys() >= set(data) else value.expand(size) / size
        total = value if total is None else total + value
    return total


# Weights of several particles are of each datum, unless a site ties data together.
def _check_joint(
    layout: Layout,
    weighed: Sequence[tuple[Term, Site]],
    every: Sequence[tuple[Term, Site]],
    several: bool,
    how: Weighing,
) -> None:
    wanted = next((term.where.plates[0] for term, _ in weighed if term.where.plates), None)
    if how.data_plate is not None:
        plates = {plate.name: plate for term, _ in every for plate in term.where.plates}
        if how.data_plate not in plates:
            raise UsageError(f"the programs have no plate {how.data_plate!r}, which is to be that of data")
        wanted = plates[how.data_plate]
    if wanted is None or layout.data == wanted:
        return
    if wanted.dim is None:
        why = f"plate {wanted.name!r} is a loop in Python"
    else:
        outside = next(site["name"] for term, site in weighed if wanted not in term.where.sizes_of)
        why = f"site {outside!r}, which may depend on latents, is outside of plate {wanted.name!r}"
    if how.data_plate is not None:
        raise UsageError(f"{why}, so that there is no bound of each of its data")
    if several and not how.additive:
        warnings.warn(
            f"{why}: all data are weighed together, and the bound of several particles is a joint one",
            stacklevel=2,
        )


# What multiplies all terms, a number or (*I); None where each has a scale of its own.
def _scale(layout: Layout, sites: list[Site], how: Weighing) -> float | Tensor | None:
    if how.additive and different_scale(sites) is not None:
        return None
    scale = common_scale(sites)
    if not isinstance(scale, Tensor) or scale.numel() == 1:
        return scale if not isinstance(scale, Tensor) else scale.reshape(())
    value = scale.reshape((1,) * (layout.nesting - scale.dim()) + scale.shape)
    kept = {plate.dim for plate in layout.instances}
    varies = [dim for dim in range(-value.dim(), 0) if value.shape[dim] > 1 and dim not in kept]
    if not varies and value.dim() == layout.nesting:
        plates = tuple(plate for plate in layout.instances if plate.dim is not None)
        where = Where(plates, dict.fromkeys(plates, 0), tuple(value.shape), {})
        return layout.place(Term(value.unsqueeze(0), where))[0]
    if how.additive:
        return None
    raise UsageError(
        f"poutine.scale of shape {tuple(scale.shape)} differs within what is weighed together: where several "
        "particles are weighed, a scale is a number or one for each datum"
    )
