"""A check that what is in a plate is independent given what is outside of it, as a plate says.

Bounds of each datum, credit and sums over latents all take a plate at its word: an element of a site may
depend on the same element of other sites of the plate, or on what is outside, and on nothing else. A program
that shifts or averages along a plate, or carries the state of one turn of a sequential plate to the next,
gives numbers all the same, and wrong ones. So some latents of a plate are given other values, half of its
elements at a time, and nothing may change at the other half.

All runs are of one particle, in evaluation mode and without gradients; what a program draws by itself
cannot be compared, and is let pass.
"""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.alone import agree, undisturbed
from hardpp.inference.weights.model_guide_match import replayed
from hardpp.inference.weights.particles import ProgramFailure, traced
from hardpp.inference.weights.sample_sites import Plate, Site, all_plates_of, sample_sites, site_log_prob
from hardpp.types import Program

MOST = 4  # plates that are looked at in one check

Scores = dict[tuple[str, str], tuple[Site, Tensor]]  # log-probabilities by role and site


class Half(NamedTuple):
    """Some elements of a plate: indices along its dim, or turns of a loop by Pyro's counter."""

    plate: Plate
    chosen: frozenset[int]
    size: int

    def turn(self, site: Site) -> int | None:
        """The turn of the loop that a site is in; None where the plate is none."""
        return next((f.counter for f in site["cond_indep_stack"] if f.name == self.plate.name), None)


def check_independence(model: Program, guide: Program | None, args: Any, kwargs: Any) -> None:
    """Changes latents at some elements of each plate and looks at the others.

    Args:
        model: the model.
        guide: the guide; None where the model's latents are all its own.
        args, kwargs: what both programs take.

    Raises:
        UsageError: an element of a plate depends on a latent at another element.
    """
    with undisturbed(model, *([] if guide is None else [guide])):
        try:
            values, others = (_drawn(model, guide, args, kwargs) for _ in range(2))
            plain = _scores(model, guide, values, args, kwargs)
        except ProgramFailure:  # it says so where it is run for the estimate
            return
        for half in _halves(plain):
            changed = _changed(values, others, half)
            if changed is None:
                continue
            try:
                scores = _scores(model, guide, changed, args, kwargs)
            except ProgramFailure:  # not all values go together
                continue
            fault = _difference(plain, scores, half)
            if fault is None:
                continue
            again = _scores(model, guide, values, args, kwargs)
            if _difference(plain, again, half) is None:
                raise UsageError(_sentence(*fault, half.plate))
            return  # the program draws by itself


def _sentence(role: str, name: str, plate: Plate) -> str:
    where, instead = "at another element", "draw what is tied in an event dim (to_event), or give the plate up"
    if plate.dim is None:
        where, instead = "in another turn", "write range or pyro.markov for the loop"
    return (
        f"site {name!r} of the {role} depends on a latent {where} of plate {plate.name!r}, whose elements are "
        f"to be independent given what is outside of it: {instead}"
    )


# The values of all latents of one run of both programs, those of the guide first.
def _drawn(model: Program, guide: Program | None, args: Any, kwargs: Any) -> Trace:
    values = Trace()
    if guide is not None:
        values = traced(guide, "guide", args, kwargs)
        model = replayed(model, values, whole=False)
    for name, site in traced(model, "model", args, kwargs).nodes.items():
        if site["type"] == "sample" and not site["is_observed"] and name not in values:
            values.add_node(name, **site)
    return values


def _scores(model: Program, guide: Program | None, values: Trace, args: Any, kwargs: Any) -> Scores:
    scores: Scores = {}
    for role, program in (("guide", guide), ("model", model)):
        if program is not None:
            trace = traced(poutine.replay(program, trace=values), role, args, kwargs)
            for name, site in sample_sites(trace).items():
                scores[role, name] = site, site_log_prob(site)
    return scores


# Two complementary halves of each plate that there is, the sequential ones that are gone through once.
def _halves(scores: Scores) -> Iterator[Half]:
    elements: dict[Plate, set[int]] = {}
    sizes: dict[Plate, int] = {}
    for site, _ in scores.values():
        for frame in site["cond_indep_stack"]:
            plate = Plate(frame.name, frame.dim)
            sizes[plate] = frame.size
            elements.setdefault(plate, set()).update(range(frame.size) if frame.vectorized else [frame.counter])
    plates = [plate for plate, each in elements.items() if 1 < len(each) <= sizes[plate]]
    for plate in random.sample(plates, min(MOST, len(plates))):
        every = sorted(elements[plate])
        chosen = frozenset(random.sample(every, len(every) // 2))
        yield Half(plate, chosen, sizes[plate])
        yield Half(plate, frozenset(every) - chosen, sizes[plate])


# The values with others at half of a plate; None where no latent has any there.
def _changed(values: Trace, others: Trace, half: Half) -> Trace | None:
    changed, some = values.copy(), False
    for name, site in sample_sites(values).items():
        if half.plate not in all_plates_of(site) or name not in others or site["is_observed"]:
            continue
        value, other = site["value"], _another(site["fn"], site["value"], others.nodes[name]["value"])
        if other.shape != value.shape:
            continue
        if half.plate.dim is None:
            if half.turn(site) not in half.chosen:
                continue
        else:
            events = len(site["fn"].event_shape)
            dim = value.dim() - events + half.plate.dim
            if dim < 0 or value.shape[dim] != half.size:
                continue
            index = torch.tensor(sorted(half.chosen), device=value.device)
            other = value.index_copy(dim, index, other.index_select(dim, index))
        changed.nodes[name] = {**site, "value": other}
        some = True
    return changed if some else None


# Values that differ from those drawn, wherever it is known how; else those of another run.
def _another(fn: Any, value: Tensor, other: Tensor) -> Tensor:
    while hasattr(fn, "base_dist") and not isinstance(fn, torch.distributions.TransformedDistribution):
        fn = fn.base_dist
    if isinstance(fn, torch.distributions.Bernoulli):
        return 1 - value
    if isinstance(fn, torch.distributions.Categorical):
        return (value + 1) % fn.logits.shape[-1]
    return value.roll(1, -1) if isinstance(fn, torch.distributions.OneHotCategorical) else other


# The first site that has changed where it should not; None where none has.
def _difference(plain: Scores, scores: Scores, half: Half) -> tuple[str, str] | None:
    for key, (site, one) in plain.items():
        if key not in scores or half.plate not in all_plates_of(site):
            continue
        two = scores[key][1]
        if half.plate.dim is None:
            if half.turn(site) in half.chosen:
                continue
        elif one.dim() >= -half.plate.dim and one.shape[half.plate.dim] == half.size and one.shape == two.shape:
            kept = [i for i in range(half.size) if i not in half.chosen]
            index = torch.tensor(kept, device=one.device)
            one, two = (each.index_select(half.plate.dim, index) for each in (one, two))
        if not agree(one, two, one.dtype if one.dtype == two.dtype else torch.float32):
            return key
    return None
