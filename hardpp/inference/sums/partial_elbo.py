"""The evidence lower bound with some latents of the guide summed out, and the others drawn.

    bound = E_q(c)[mean_k (log p(y, c, z[k]) - log q(c, z[k]))],    z[k] ~ q(z | c) at every value of c

A guide marks what is summed by `infer={"enumerate": "parallel"}`, as a class y beside a code z in the
semi-supervised autoencoder. Whatever is drawn after a summed latent is drawn for each of its values.

Every site is a term over the summed latents that it depends on. The bound is linear in the terms, and what a
drawn latent is credited with is read off it: with delta_z = 0 added for each drawn latent z,

    L = E_q[sum of terms] + sum over z of E_q[(terms after z) delta_z],    dL / d delta_z = weight x return

the weight being q(c) of the values that z was drawn at. With leave-one-out the mean return of the other
particles at the same values is taken off.

Source: Kingma, Mohamed, Rezende and Welling (2014), Semi-supervised Learning with Deep Generative Models, for
the model; `pyro.infer.TraceEnum_ELBO` sums so, too, without a baseline.
Shapes: K particles, B data; plates as in the programs.
"""

from typing import Any, NamedTuple

import torch
from pyro.poutine import Trace
from pyro.poutine.enum_messenger import EnumMessenger
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sums.enumeration import InSight
from hardpp.inference.sums.factor_graph import FactorGraph, times
from hardpp.inference.sums.factorise import factor_graph, named_dims, scale_of
from hardpp.inference.sums.summed_out import SummedOut
from hardpp.inference.weights.model_guide_match import check_same_latents, replayed
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import (
    PARTICLES,
    SUMMED,
    Site,
    all_plates_of,
    sample_sites,
    site_log_prob,
)
from hardpp.ops.elimination import expectation
from hardpp.ops.marginal import Factor, spread, without
from hardpp.types import Estimate, Program


class Drawn(NamedTuple):
    """A latent of the guide that is drawn, by the score function."""

    number: int  # its place among the guide's sites, from 1
    log_q: Factor
    leaked: str  # letters of its plates that a later latent is outside of


class Cost(NamedTuple):
    """A term of the bound, and the last of the guide's sites that it may depend on."""

    term: Factor
    stage: int


def sums_any(guide_trace: Trace) -> bool:
    """Has the guide marked a latent, so that there is something to sum out?"""
    return any(SUMMED in site["infer"] for site in sample_sites(guide_trace).values())


def partial_traces(
    model: Program, guide: Program, chosen: SummedOut, particles: int, nesting: int, args: Any, kwargs: Any
) -> tuple[Trace, Trace]:
    """Runs both programs with the guide's marked latents enumerated, and K particles of the others."""
    marked = chosen.enumerated(guide, Trace(), -1 - nesting - (particles > 1))
    guide_trace = particle_trace(marked, particles, nesting, args, kwargs, role="guide")
    scored = replayed(EnumMessenger()(InSight()(model)), guide_trace)
    return particle_trace(scored, particles, nesting, args, kwargs, role="model"), guide_trace


def partial_elbo(
    model_trace: Trace,
    guide_trace: Trace,
    particles: int,
    *,
    leave_one_out: bool,
    causal: bool,
    data_plate: str | None = None,
) -> Estimate:
    """The bound above, and its gradient.

    Args:
        model_trace, guide_trace: see `partial_traces`.
        particles: K.
        leave_one_out: take the mean return of the other particles off.
        causal: credit a latent with what comes after it, not with everything.
        data_plate: the name of the plate of data, if it is not the outermost.
    """
    guide_sites = sample_sites(guide_trace)
    summed = {name: site for name, site in guide_sites.items() if SUMMED in site["infer"]}
    q = factor_graph(guide_trace, sites=summed, additive=True, data_plate=data_plate)
    model_trace.symbolize_dims(dict(guide_trace.plate_to_symbol))
    model_sites = sample_sites(model_trace)
    check_same_latents(model_sites, guide_sites)
    for name, site in model_sites.items():
        if SUMMED in site["infer"] and name not in guide_sites:
            raise UsageError(
                f"latent site {name!r} is summed out of the model, but {next(iter(summed))!r} of the guide: "
                "where the guide sums, it has all latents of the model"
            )
    steps, one = q.eliminate().steps, q.letters.get(PARTICLES, "")
    drawn, costs = _drawn(guide_sites, q), _costs(model_sites, guide_sites)

    def mean(terms: list[Factor]) -> list[Factor]:
        return expectation(steps, terms, q.plates)

    # A term may have particles only by what is summed, if that depends on what was drawn.
    means = mean([cost.term for cost in costs])
    bound = q.per_datum([_over(each, particles) if one and one in each.dims else each for each in means])
    surrogate = bound.sum()
    if drawn and torch.is_grad_enabled():
        deltas = [torch.zeros_like(each.log_q.log_value, requires_grad=True) for each in drawn]
        credited, weights = [], []
        for each, delta in zip(drawn, deltas, strict=True):
            factor = Factor(delta, each.log_q.dims)
            weights.append(factor)
            for cost in costs:
                if not causal or cost.stage >= each.number:
                    term = without(_over(cost.term, particles), each.leaked)
                    credited.append(_product(Factor(term.log_value.detach(), term.dims), factor))
        weight = torch.autograd.grad(_total(mean(weights)), deltas, retain_graph=True)
        returns = torch.autograd.grad(_total(mean(credited)), deltas)
        for each, share, credit in zip(drawn, weight, returns, strict=True):
            signal = credit
            if leave_one_out:
                axis, value = each.log_q.dims.index(one), credit / share.where(share > 0, 1.0)
                others = (value.sum(axis, keepdim=True) - value) / (particles - 1)
                signal = credit - share * others
            surrogate = surrogate + (each.log_q.log_value * signal.detach()).sum()
    return Estimate(bound.detach(), surrogate, None, {})


# The drawn latents that are not reparameterised, in the guide's order.
def _drawn(guide_sites: dict[str, Site], q: FactorGraph) -> list[Drawn]:
    found, later = [], list[set[str]]()
    for number, site in reversed(list(enumerate(guide_sites.values(), start=1))):
        if site["is_observed"]:
            continue
        own = {plate.name for plate in all_plates_of(site) if plate.dim is not None}
        if SUMMED not in site["infer"] and not getattr(site["fn"], "has_rsample", False):
            leaked = own.difference(own.intersection(*later))
            letters = "".join(
                site["infer"]["_dim_to_symbol"][f.dim] for f in site["cond_indep_stack"] if f.name in leaked
            )
            found.append(Drawn(number, named_dims(site, site_log_prob(site).double()), letters))
        later.append(own)
    return found[::-1]


# All terms of the bound, scaled.
def _costs(model_sites: dict[str, Site], guide_sites: dict[str, Site]) -> list[Cost]:
    number = {name: i for i, name in enumerate(guide_sites, start=1)}
    costs, reached = [], 0
    for name, site in guide_sites.items():
        log_q = named_dims(site, site_log_prob(site).double())
        scored = SUMMED not in site["infer"] and not getattr(site["fn"], "has_rsample", False)
        value = -(log_q.log_value.detach() if scored else log_q.log_value)
        costs.append(Cost(times(Factor(value, log_q.dims), scale_of(site)), number[name]))
    for name, site in model_sites.items():
        reached = max(reached, number.get(name, 0))
        term = named_dims(site, site_log_prob(site).double())
        costs.append(Cost(times(term, scale_of(site)), reached))
    return costs


def _over(factor: Factor, number: int) -> Factor:
    return Factor(factor.log_value / number, factor.dims)


def _product(one: Factor, other: Factor) -> Factor:
    dims = "".join(sorted(set(one.dims) - set(other.dims))) + other.dims
    return Factor(spread(one, dims) * spread(other, dims), dims)


def _total(factors: list[Factor]) -> Tensor:
    return torch.stack([factor.log_value.sum() for factor in factors]).sum()
