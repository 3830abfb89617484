"""Checks that model and guide draw the same latents, in the same plates."""

from typing import Any

from pyro.distributions import Delta
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import constraints

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import Site, plates_of


def check_same_latents(model_sites: dict[str, Site], guide_sites: dict[str, Site]) -> None:
    """Both programs must draw the same latents in the same plates, and the guide nothing else.

    Supports are compared only while Pyro's validation is on, as in the first step of `hardpp train`.

    Raises:
        UsageError: they do not; the message names the site, what the guide has and what the model wants.
    """
    for name, site in guide_sites.items():
        if site["is_observed"]:
            raise UsageError(f"the guide observes site {name!r}, but a guide only draws latents")
    missing = [n for n, site in model_sites.items() if not site["is_observed"] and n not in guide_sites]
    extra = [name for name in guide_sites if name not in model_sites]
    if missing:
        instead = f"; it draws {extra[0]!r} instead" if extra else ""
        raise UsageError(f"the model's latent site {missing[0]!r} is missing in the guide{instead}")
    if extra:
        raise UsageError(f"the guide's site {extra[0]!r} is missing in the model")
    for name, site in guide_sites.items():
        if model_sites[name]["is_observed"]:
            raise UsageError(f"the guide draws site {name!r}, which the model observes")
        _check_plates(name, model_sites[name], site)
        if is_validation_enabled():
            _check_support(name, model_sites[name]["fn"], site["fn"])


def _check_plates(name: str, model_site: Site, guide_site: Site) -> None:
    (expected, outer), (got, inner) = _plates(model_site), _plates(guide_site)
    if expected != got:
        raise UsageError(f"site {name!r} has shape {expected} in the model's plates but {got} in the guide's")
    if outer != inner:  # per-datum bounds need to know which plates are the same
        raise UsageError(f"site {name!r} is in the plates {outer} of the model but {inner} of the guide")


# The shape of a site's plates, and their names from left to right.
def _plates(site: Site) -> tuple[tuple[int, ...], tuple[str, ...]]:
    plates = sorted(plates_of(site), key=lambda plate: plate.dim)
    # A replayed plate of another size counts as a subsample of the guide's: its full size tells.
    sizes = {plate.dim: plate.full_size or plate.size for plate in plates}
    shape = tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))
    return shape, tuple(plate.name for plate in plates)


def _check_support(name: str, model_fn: Any, guide_fn: Any) -> None:
    if isinstance(model_fn, Delta):  # a latent that a handler has relaxed
        return
    if model_fn.event_shape != guide_fn.event_shape:
        raise UsageError(
            f"site {name!r} has event shape {tuple(model_fn.event_shape)} in the model "
            f"but {tuple(guide_fn.event_shape)} in the guide"
        )
    in_model, in_guide = _support(model_fn), _support(guide_fn)
    if in_model != in_guide:
        raise UsageError(f"site {name!r} takes {in_model} in the model but {in_guide} in the guide")


# Real supports may lie within one another; of discrete ones a difference is a mistake.
def _support(fn: Any) -> str:
    support = fn.support
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    if not support.is_discrete:
        return "continuous values"
    if isinstance(support, constraints.integer_interval) and not isinstance(support.upper_bound, Tensor):
        return f"the integers {support.lower_bound} to {support.upper_bound}"
    return "the integers 0 to 1" if support is constraints.boolean else "integers"
