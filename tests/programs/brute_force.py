"""Exact bounds, expectations and their gradients, by sums over every tuple of latents.

    elbo    sum_z q(z) sum over sites of scale * log-probability (minus those of the guide)
    iw      sum over K-tuples of their probability * scale * log mean_k w[k], of each instance
    exact   scale * log sum_z p(y, z)

Sites that are outside of the plates of the instances are the same for all particles and are added as they
are. Nothing here imports hardpp.

Shapes: C tuples, K particles, I instances, P parameters.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import torch
from oracles import flat_gradient
from programs.program import Draw, Given, InTurn, Program
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.util import site_is_subsample
from torch import Tensor

Site = dict[str, Any]


class Weighed(NamedTuple):
    """The tuples that the guide can draw, and what both programs say of each."""

    draws: list[Draw]
    log_q: Tensor  # (C,) by which they are drawn
    log_w: Tensor  # (C, *I), unscaled
    additive: Tensor  # (C,) the sum over sites, each with its scale
    log_p: Tensor  # (C,) unscaled, constants left out
    constant: Tensor  # () scaled
    scale: Tensor | None  # (*I) or (); None where sites have scales of their own


class Target(NamedTuple):
    """A bound and its gradient."""

    value: Tensor  # ()
    gradient: Tensor  # (P,)


def log_prob(site: Site) -> Tensor:
    """A site's log-probability over its plates, masked and unscaled."""
    value, mask = site["fn"].log_prob(site["value"]), site["mask"]
    if mask is None or mask is True:
        return value
    return value.where(torch.as_tensor(mask), 0.0)


def sites_of(trace: Trace) -> list[Site]:
    """The sites that carry probability."""
    sites = [site for site in trace.nodes.values() if site["type"] == "sample"]
    return [s for s in sites if not site_is_subsample(s) and not s["infer"].get("_deterministic")]


def over(site: Site, value: Tensor, instances: tuple[str, ...]) -> Tensor:
    """Sums a site's log-probability over all plates but those of the instances."""
    dims = {frame.name: frame.dim for frame in site["cond_indep_stack"] if frame.vectorized}
    sizes = {frame.dim: frame.size for frame in site["cond_indep_stack"] if frame.vectorized}
    value = value.expand([sizes.get(d, 1) for d in range(-max(value.dim(), *map(abs, sizes), 0), 0)])
    kept = [dims[name] for name in instances]
    gone = [d for d in range(-value.dim(), 0) if d not in kept]
    return value.sum(gone) if gone else value


def weighed(program: Program) -> Weighed:
    """Runs both programs at every tuple."""
    draws, log_q, log_w, additive, log_p, constants, scales = [], [], [], [], [], [], []
    instances = program.instances
    for draw in program.tuples:
        with Given(draw):
            q = poutine.trace(program.guide).get_trace()
        p = poutine.trace(poutine.replay(program.model, trace=q)).get_trace()
        drawn = sum((log_prob(s).sum() for s in sites_of(q) if not s["is_observed"]), torch.zeros(()))
        if drawn == -torch.inf:
            continue
        w = total = joint = constant = torch.zeros((), dtype=torch.float64)
        for sign, trace in ((1, p), (-1, q)):
            for site in sites_of(trace):
                term = log_prob(site)
                plates = {frame.name for frame in site["cond_indep_stack"]}
                total = total + sign * (term * site["scale"]).sum()
                if not plates >= set(instances):
                    constant = constant + (term * site["scale"]).sum()
                    continue
                w = w + sign * over(site, term, instances)
                joint = joint + term.sum() if sign == 1 else joint
                scales.append(site["scale"])
        for some, one in zip(
            (draws, log_q, log_w, additive, log_p, constants),
            (draw, drawn, w, total, joint, constant),
            strict=True,
        ):
            some.append(one)
    common: Tensor | None = torch.as_tensor(scales[0], dtype=torch.float64)
    for scale in scales:
        if not torch.equal(*torch.broadcast_tensors(torch.as_tensor(scale, dtype=torch.float64), common)):
            common = None
            break
    return Weighed(
        draws, *(torch.stack(each) for each in (log_q, log_w, additive, log_p)), constants[0], common
    )


def bounds(program: Program, w: Weighed, K: int = 2) -> dict[str, Target]:
    """The targets by name; "iw model" holds the guide fixed, as the model's gradient of wake-sleep does."""

    def target(value: Tensor) -> Target:
        return Target(value.detach(), flat_gradient(value, program.parameters))

    out = {"elbo": target((w.log_q.exp() * w.additive).sum())}
    if w.scale is None:
        return out
    every = torch.tensor(list(itertools.product(range(len(w.draws)), repeat=K)))  # (C^K, K)
    probability = w.log_q[every].sum(-1).exp()
    log_w = w.log_w[every]  # (C^K, K, *I)
    mean = _total(w.scale * (log_w.logsumexp(1) - math.log(K)))
    out["iw"] = target((probability * mean).sum() + w.constant)
    share = log_w.detach().softmax(1)
    fixed = _total(w.scale * (share * _model_terms(program, w)[every]).sum(1))
    surrogate = (probability.detach() * fixed).sum() + w.constant
    out["iw model"] = Target(out["iw"].value, flat_gradient(surrogate, program.parameters))
    if w.scale.dim() == 0:
        out["exact"] = target(w.scale * w.log_p.logsumexp(0) + w.constant)
    else:  # data of as many values each: each value is in so many tuples
        repeats = (1 - 1 / len(w.scale)) * math.log(len(w.draws))
        log_p = _model_terms(program, w)
        out["exact"] = target((w.scale * (log_p.logsumexp(0) - repeats)).sum() + w.constant)
    return out


# The sum over instances of each row.
def _total(rows: Tensor) -> Tensor:
    return rows.reshape(len(rows), -1).sum(-1)


# log p of every tuple by instance, (C, *I).
def _model_terms(program: Program, w: Weighed) -> Tensor:
    rows = []
    for draw in w.draws:
        with Given(draw):
            q = poutine.trace(program.guide).get_trace()
        p = poutine.trace(poutine.replay(program.model, trace=q)).get_trace()
        row = torch.zeros((), dtype=torch.float64)
        for site in sites_of(p):
            if {frame.name for frame in site["cond_indep_stack"]} >= set(program.instances):
                row = row + over(site, log_prob(site), program.instances)
        rows.append(row)
    return torch.stack(rows)


class Known(NamedTuple):
    """What is found by sums alone, whatever the objective: without gradients, to be kept."""

    weighed: Weighed
    bounds: dict[str, Target]


@functools.cache
def known(make: Callable[[], Program], of_the_model: bool = False, tied: bool = False) -> Known:
    """The tuples and bounds of a program, which is made anew; all objectives are held against the same ones.

    Args:
        make: makes the program, the same one each time.
        of_the_model: the model's own latents take the place of the guide.
        tied: all data are one instance.
    """
    program = make()
    program = program.of_the_model if of_the_model else program
    program = program._replace(instances=()) if tied else program
    w = weighed(program)
    found = bounds(program, w)
    return Known(Weighed(w.draws, *(each.detach() for each in w[1:-1]), w.scale), found)


def expectation(program: Program, w: Weighed, objective: Any, K: int, one_by_one: bool = False) -> Target:
    """The mean of an objective's value and gradient over all K-tuples of draws.

    Particles are exchangeable: every set of K draws is given once, in one order. Pyro and the objective look
    the programs over at the first of them; at the others nothing but the numbers is asked for.
    """
    value = surrogate = torch.zeros((), dtype=torch.float64)
    nesting, validation = program.nesting, is_validation_enabled()
    for chosen in itertools.combinations_with_replacement(range(len(w.draws)), K):
        orders = len(set(itertools.permutations(chosen)))
        probability = orders * w.log_q.detach()[list(chosen)].sum().exp()
        draws = [w.draws[i] for i in chosen]
        with pyro.validation_enabled(validation and not any(chosen)):
            if one_by_one:
                estimate = objective.estimate(program.model, InTurn(program.guide, draws))
            else:
                with Given(program.side_by_side(draws, nesting)):
                    estimate = objective.estimate(program.model, program.guide)
        value = value + probability * estimate.bound.sum()
        surrogate = surrogate + probability * estimate.surrogate
    return Target(value.detach(), flat_gradient(surrogate, program.parameters))
