"""A check that what is in a plate is independent given what is outside of it, as a plate says.

Bounds of each datum, credit and sums over latents all take a plate at its word: an element of a site may
depend on the same element of other sites of the plate, or on what is outside, and on nothing else. A program
that shifts or averages along a plate, or carries the state of one turn of a sequential plate to the next,
gives numbers all the same, and wrong ones. So some latents of a plate are given other values, half of its
elements at a time, and nothing may change at the other half.

All runs are of one particle, in evaluation mode and without gradients; what a program draws by itself
cannot be compared, and is let pass.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.alone import agree, undisturbed
from hardpp.inference.weights.model_guide_match import replayed
from hardpp.inference.weights.particles import ProgramFailure, failures_of, traced
from hardpp.inference.weights.sample_sites import Plate, Site, all_plates_of, sample_sites, site_log_prob
from hardpp.types import Program

MOST = 4  # plates that are looked at in one check

Scores = dict[tuple[str, str], tuple[Site, Tensor]]  # log-probabilities by role and site


class Half(NamedTuple):
    """Elements of a plate that are changed, and those that are not: along its dim, or turns of a loop."""

    plate: Plate
    changed: Tensor
    kept: Tensor

    @property
    def size(self) -> int:
        """How many elements there are."""
        return len(self.changed) + len(self.kept)

    def turn_is_changed(self, site: Site) -> bool:
        """Is a site of a sequential plate in a turn that is changed?"""
        counter = next(f.counter for f in site["cond_indep_stack"] if f.name == self.plate.name)
        return bool((self.changed == counter).any())


def check_independence(
    model: Program, guide: Program | None, args: Any, kwargs: Any, *, loops: bool = True
) -> None:
    """Changes latents at some elements of each plate and looks at the others.

    Args:
        model: the model.
        guide: the guide; None where the model's latents are all its own.
        args, kwargs: what both programs take.
        loops: look at sequential plates, too? A sum over all values does not depend on what they say.

    Raises:
        UsageError: an element of a plate depends on a latent at another element.
    """
    with undisturbed(model, *([] if guide is None else [guide])):
        try:
            values, others = [_drawn(model, guide, args, kwargs) for _ in range(2)]
            plain = _scores(model, guide, values, args, kwargs)
        except (ProgramFailure, StopIteration):  # it has said so, or is for so many runs
            return
        for half in _halves(plain, loops):
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
            again = [_scores(model, guide, values, args, kwargs) for _ in range(2)]
            if any(_difference(plain, each) for each in again):  # the program draws by itself
                return
            raise UsageError(_sentence(*fault, half.plate))


def _sentence(role: str, name: str, plate: Plate) -> str:
    where, instead = (
        "at another element",
        "draw what is tied in an event dim (to_event), or give the plate up",
    )
    if plate.dim is None:
        where, instead = "in another turn", "write range or pyro.markov for the loop"
    return (
        f"site {name!r} of the {role} depends on a latent {where} of plate {plate.name!r}, whose elements "
        f"are to be independent given what is outside of it: {instead}"
    )


# The values of all latents of one run of both programs, those of the guide first.
def _drawn(model: Program, guide: Program | None, args: Any, kwargs: Any) -> Trace:
    values = Trace()
    if guide is not None:
        values = traced(guide, "guide", args, kwargs)
        model = replayed(model, values, whole=False)
    for name, site in traced(model, "model", args, kwargs).nodes.items():
        if site["type"] == "sample" and not site["is_observed"] and name not in values:
            values.nodes[name] = site
    return values


def _scores(model: Program, guide: Program | None, values: Trace, args: Any, kwargs: Any) -> Scores:
    scores: Scores = {}
    for role, program in (("guide", guide), ("model", model)):
        if program is not None:
            trace = traced(poutine.replay(program, trace=values), role, args, kwargs)
            with failures_of(role):
                for name, site in sample_sites(trace).items():
                    scores[role, name] = site, site_log_prob(site)
    return scores


# Two complementary halves of some plates; a sequential one counts if it is gone through once.
def _halves(scores: Scores, loops: bool) -> Iterator[Half]:
    elements: dict[Plate, Tensor] = {}
    turns: dict[tuple[Plate, int], set[int]] = {}
    for site, _ in scores.values():
        for frame in site["cond_indep_stack"]:
            plate = Plate(frame.name, frame.dim)
            if frame.vectorized and plate not in elements:
                elements[plate] = torch.arange(frame.size)
            elif loops and not frame.vectorized:
                turns.setdefault((plate, frame.size), set()).add(frame.counter)
    for (plate, size), counters in turns.items():
        if len(counters) <= size:
            elements[plate] = torch.tensor(sorted(counters))
    plates = [plate for plate, each in elements.items() if len(each) > 1]
    for i in torch.randperm(len(plates))[:MOST].tolist():
        every = elements[plates[i]]
        rank = torch.randperm(len(every))
        for bit in (1, 2) if 2 < len(every) <= 4 else (1,):  # no two of a few are always in the same half
            first, second = every[rank & bit == 0], every[rank & bit > 0]
            yield Half(plates[i], first, second)
            yield Half(plates[i], second, first)


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
            if not half.turn_is_changed(site):
                continue
        else:
            events = len(site["fn"].event_shape)
            dim = value.dim() - events + half.plate.dim
            if dim < 0 or value.shape[dim] != half.size:
                continue
            index = half.changed.to(value.device)
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


# The first site that has changed: in the half that is kept, or anywhere.
def _difference(plain: Scores, scores: Scores, half: Half | None = None) -> tuple[str, str] | None:
    for key, (site, one) in plain.items():
        if key not in scores or not (half is None or half.plate in all_plates_of(site)):
            continue
        two = scores[key][1]
        if half is None:
            pass
        elif half.plate.dim is None:
            if half.turn_is_changed(site):
                continue
        elif (
            one.dim() >= -half.plate.dim and one.shape[half.plate.dim] == half.size and one.shape == two.shape
        ):
            kept = half.kept.to(one.device)
            one, two = (each.index_select(half.plate.dim, kept) for each in (one, two))
        if not agree(one, two, one.dtype if one.dtype == two.dtype else torch.float32):
            return key
    return None
