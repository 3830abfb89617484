"""Checks that model and guide draw the same latents, in the same plates and under the same masks.

The checks are made as the model comes to each latent, before it computes anything with a value that does not
suit it.
"""

from typing import Any

import torch
from pyro.distributions import Delta
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.replay_messenger import ReplayMessenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Categorical, constraints

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import (
    DRAWN_AS,
    PARTICLES,
    SUMMED,
    Site,
    elements,
    has_own_mask,
    is_delta,
    plates_of,
    sample_sites,
)
from hardpp.types import Program


class MissingLatent(UsageError):
    """The guide does not draw a latent of the model."""


def replayed(model: Program, draws: Trace, whole: bool = True) -> Program:
    """The model at the draws of a guide, each of its latents checked against that of the guide.

    Args:
        model: the model.
        draws: trace of the guide.
        whole: must the guide draw all latents? Else the model draws the others.

    Raises:
        UsageError: when it runs, and a latent of the guide is none of the model's, or in other plates, under
            another mask, or takes values that the model's does not.
    """
    program: Program = _Replayed(draws, whole)(model)
    return program


class _Replayed(ReplayMessenger):
    def __init__(self, draws: Trace, whole: bool):
        super().__init__(trace=draws)
        self.whole = whole

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            super()._pyro_sample(msg)
            return
        drawn = self.trace.nodes.get(msg["name"])
        if msg["is_observed"]:
            if drawn is not None and not msg["infer"].get("_deterministic"):
                check_not_observed(msg["name"], drawn)
        elif drawn is None:
            if self.whole and SUMMED not in msg["infer"]:
                _missing(msg["name"], self.trace)
        elif drawn["is_observed"]:
            raise UsageError(f"the guide observes site {msg['name']!r}, but a guide only draws latents")
        else:
            check_latent(msg, drawn)
            super()._pyro_sample(msg)
            msg["infer"] = {**msg["infer"], DRAWN_AS: type(drawn["fn"]).__name__}
            return
        super()._pyro_sample(msg)


def check_not_observed(name: str, drawn: Site | None) -> None:
    """Refuses a site that the guide has and the model observes."""
    if drawn is not None and drawn["type"] == "sample":
        does = "observes" if drawn["is_observed"] else "draws"
        why = ", but a guide only draws latents" if drawn["is_observed"] else ", which the model observes"
        raise UsageError(f"the guide {does} site {name!r}{why}")


def check_same_latents(model_sites: dict[str, Site], guide_sites: dict[str, Site]) -> None:
    """Both programs must have drawn the same latents, and the guide nothing else.

    A guide may have factors (`pyro.factor`) and auxiliary sites, which later sites of it are functions of.

    Raises:
        UsageError: they have not; the message names the site, what the guide has and what the model wants.
    """
    for name, site in model_sites.items():
        if site["is_observed"]:
            check_not_observed(name, guide_sites.get(name))
        elif name not in guide_sites and SUMMED not in site["infer"]:
            _missing(name, guide_sites, model_sites)
    names = list(guide_sites)
    for place, (name, site) in enumerate(guide_sites.items()):
        if name in model_sites:
            if DRAWN_AS not in model_sites[name]["infer"]:  # else it was checked when it was replayed
                check_same_plates(model_sites[name], site)
            continue
        if not site["infer"].get("is_auxiliary"):
            check_not_observed(name, site if site["is_observed"] else None)
            raise UsageError(f"the guide's site {name!r} is missing in the model")
        if not site["is_observed"] and not any(is_delta(guide_sites[n]["fn"]) for n in names[place:]):
            raise UsageError(unbounded(name))


def check_latent(model_site: Site, guide_site: Site) -> None:
    """Refuses a latent that the two programs have in different plates, masks, shapes or supports."""
    check_same_plates(model_site, guide_site)
    if not isinstance(model_site["fn"], Delta):  # else a handler has relaxed it
        check_event_shape(model_site, guide_site)
        check_support(model_site, guide_site)
    check_same_masks(model_site, guide_site)


def _missing(name: str, guide_trace: Any, model_sites: Any = ()) -> None:
    guide_sites = sample_sites(guide_trace) if isinstance(guide_trace, Trace) else guide_trace
    others = [
        n for n in guide_sites if n not in model_sites and not guide_sites[n]["infer"].get("is_auxiliary")
    ]
    instead = f"; it draws {', '.join(map(repr, others))}" if others else ""
    raise MissingLatent(f"the model's latent site {name!r} is missing in the guide{instead}")


def check_same_plates(model_site: Site, guide_site: Site) -> None:
    """Refuses, by a UsageError, a site that the two programs have in different plates."""
    name = guide_site["name"]
    if _frames(model_site) == _frames(guide_site):
        return
    (expected, outer), (got, inner) = _plates(model_site), _plates(guide_site)
    if expected != got:
        raise UsageError(
            f"site {name!r} has shape {expected} in the model's plates {outer} but {got} in the guide's "
            f"{inner}"
        )
    if outer != inner:  # per-datum bounds need to know which plates are the same
        raise UsageError(f"site {name!r} is in the plates {outer} of the model but {inner} of the guide")


def _frames(site: Site) -> list[tuple[str, Any, Any]]:
    # A replayed plate of another size counts as a subsample of the guide's: its full size tells.
    stack = site["cond_indep_stack"]
    return [(f.name, f.dim, f.full_size or f.size) for f in stack if f.name != PARTICLES]


# The shape of a site's plates, and their names from left to right.
def _plates(site: Site) -> tuple[tuple[int, ...], tuple[str, ...]]:
    plates = sorted(plates_of(site), key=lambda plate: plate.dim)
    # A replayed plate of another size counts as a subsample of the guide's: its full size tells.
    sizes = {plate.dim: plate.full_size or plate.size for plate in plates}
    shape = tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))
    return shape, tuple(plate.name for plate in plates)


def check_event_shape(model_site: Site, guide_site: Site) -> None:
    """Refuses a site whose event has another shape in the guide."""
    model, guide = (tuple(site["fn"].event_shape) for site in (model_site, guide_site))
    if model != guide:
        name = guide_site["name"]
        raise UsageError(f"site {name!r} has event shape {model} in the model but {guide} in the guide")


def check_support(model_site: Site, guide_site: Site) -> None:
    """Refuses a site of which the guide may draw values that the model's does not take."""
    name, model_fn, guide_fn = guide_site["name"], model_site["fn"], guide_site["fn"]
    categorical = isinstance(model_fn, Categorical) and isinstance(guide_fn, Categorical)
    if categorical and guide_fn.logits.shape[-1] <= model_fn.logits.shape[-1]:
        return
    if is_delta(guide_fn):  # one value, which the model finds possible or not
        return
    model, guide = _support(model_fn), _support(guide_fn)
    if model.is_discrete != guide.is_discrete or not _within(guide, model):
        raise UsageError(f"site {name!r} takes {_said(model)} in the model but {_said(guide)} in the guide")


def unbounded(name: str) -> str:
    """What is wrong with an auxiliary site of a guide that nothing is made from."""
    missing = f"the guide's auxiliary site {name!r} is missing in the model, and no later site of the guide"
    return f"{missing} is a function of it (a Delta), so that log p - log q bounds nothing"


def _support(fn: Any) -> Any:
    support = fn.support
    while isinstance(support, constraints.independent | constraints.MixtureSameFamilyConstraint):
        support = support.base_constraint
    return support


# May a guide leave out values? Yes; but it may not draw what the model has no value for.
def _within(guide: Any, model: Any) -> bool:
    if not model.is_discrete:
        return True  # real supports may lie within one another
    (low, high), (least, most) = _bounds(guide), _bounds(model)
    ends = (least <= low, high <= most)  # tensors where each element has values of its own
    return all(bool(end.all()) if isinstance(end, Tensor) else end for end in ends)


def _bounds(support: Any) -> tuple[Any, Any]:
    if support is constraints.boolean:
        return 0, 1
    return getattr(support, "lower_bound", 0), getattr(support, "upper_bound", float("inf"))


def _said(support: Any) -> str:
    if not support.is_discrete:
        return "continuous values"
    low, high = _bounds(support)
    return "integers" if isinstance(high, Tensor) or high == float("inf") else f"the integers {low} to {high}"


def check_same_masks(model_site: Site, guide_site: Site) -> None:
    """Refuses a site of which not the same elements count in the two programs."""
    name = guide_site["name"]
    own = has_own_mask(model_site["fn"]) or has_own_mask(guide_site["fn"])
    if not own and _same(model_site["mask"], guide_site["mask"]):
        return
    value = guide_site["value"]
    in_model, in_guide = (elements(site | {"value": value})[1] for site in (model_site, guide_site))
    if _same(in_model, in_guide) or not (value.device.type == "cpu" or is_validation_enabled()):
        return  # a comparison on a device waits for it
    everywhere = torch.ones((), dtype=torch.bool, device=value.device)
    model, guide = (everywhere if each is None else each for each in (in_model, in_guide))
    if not torch.equal(*torch.broadcast_tensors(model, guide)):
        raise UsageError(
            f"site {name!r} counts in {_counted(in_model)} in the model but in {_counted(in_guide)} in the "
            "guide: both want the same poutine.mask"
        )


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    return one.data_ptr() == other.data_ptr() and (one.shape, one.stride()) == (other.shape, other.stride())


def _counted(mask: Tensor | None) -> str:
    return "all of its elements" if mask is None else f"{int(mask.sum())} of {mask.numel()} elements"
