"""What the sites of a guide must have in common with those of its model.

Each function names what is wrong, one sentence a fault: the site, what the model wants, what the guide has,
and the likely cause.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from hardpp.errors import UsageError, nearest
from hardpp.inference.sums.enumeration import lists_values, not_enumerable
from hardpp.inference.weights.model_guide_match import (
    check_event_shape,
    check_same_masks,
    check_same_plates,
    check_support,
    unbounded,
)
from hardpp.inference.weights.sample_sites import Site, is_delta, plates_of
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.subject import Subject

_IN_PLATE = "inside plate"  # in what Pyro says of shapes that do not fit a plate


def _numbers(subject: Subject) -> Iterator[str]:
    for name, parameter in subject.own_parameters().items():
        if not bool(parameter.isfinite().all()):
            yield f"parameter {name!r} holds {_nonfinite(parameter)} at the start: look how it is initialised"
    for site in subject.drawn.sites:
        for name, value in arguments(site).items():
            if bool(value.isnan().any()):
                count = int(value.isnan().sum())
                yield (
                    f"site {site['name']!r}: {name} of its {type(site['fn']).__name__} are NaN at the start "
                    f"in {count} of {value.numel()} elements: look for a log or a division of 0, or a row of "
                    "which all is masked"
                )
                break


def _runs(subject: Subject) -> Iterator[str]:
    if subject.prior.error:
        yield f"the model fails on its own toy data {subject.prior.error}"
    if _IN_PLATE in subject.drawn.error:
        raise Skip("its plates do not fit", unsound=True)
    if subject.drawn.error:
        yield f"the guide fails {subject.drawn.error}"


def _names(subject: Subject) -> Iterator[str]:
    for name, count in Counter(site["name"] for site in subject.drawn.sites).items():
        if count > 1:
            yield (
                f"site {name!r} is drawn {count} times in one run, and a name stands for one site: give each "
                "a name of its own, or draw all at once in a plate"
            )


def _sites(subject: Subject) -> Iterator[str]:
    wanted, got = subject.prior.latents, subject.drawn.latents
    for name in wanted:
        if name not in got:
            instead = nearest(name, [other for other in got if other not in wanted])
            yield f"the model's latent site {name!r} is not drawn by the guide{instead}"
    observed = {site["name"] for site in subject.prior.sites if site["is_observed"]}
    for name in got:
        if name in observed:
            yield f"site {name!r} is observed in the model, and a guide draws latents only: leave it out"
        elif name not in wanted:
            yield (
                f"site {name!r} of the guide is none of the model's latents ({', '.join(map(repr, wanted))}"
                "): leave it out, rename it, or mark it infer={'is_auxiliary': True}"
            )
    drawn = subject.drawn.sites
    for place, site in enumerate(drawn):
        auxiliary = site["infer"].get("is_auxiliary") and site["name"] not in wanted
        if auxiliary and not site["is_observed"] and not any(is_delta(s["fn"]) for s in drawn[place:]):
            yield f"{unbounded(site['name'])}: sum it out of log q, as mixtures do"
        if site["is_observed"] and "is_auxiliary" not in site["infer"]:
            yield f"the guide observes site {site['name']!r}, and a guide draws latents only: leave obs= out"


def _compared(
    compare: Callable[[Site, Site], None], cause: str, sites: Subject | Sequence[tuple[Site, Site]]
) -> Iterator[str]:
    for model, guide in sites.shared if isinstance(sites, Subject) else sites:
        try:
            compare(model, guide)
        except UsageError as error:
            yield f"{error}: {cause}"


def _plates(subject: Subject) -> Iterator[str]:
    if _IN_PLATE in subject.drawn.error:
        latents = subject.prior.latents.items()
        wanted = ", ".join(f"{name!r} in {[plate.name for plate in plates_of(s)]}" for name, s in latents)
        yield f"the guide fails {subject.drawn.error}: the model has {wanted}, the outermost plate first"
    elif subject.drawn.error:
        raise Skip("the guide does not run", unsound=True)
    else:
        # What stands in an event dim has no plate for it: one fault, told once.
        same = [pair for pair in subject.shared if pair[0]["fn"].event_shape == pair[1]["fn"].event_shape]
        yield from _compared(check_same_plates, _PLATES, same)


def _dtypes(subject: Subject) -> Iterator[str]:
    wanted = next((p.dtype for p in subject.model.parameters() if p.is_floating_point()), torch.float32)
    for name, parameter in subject.own_parameters().items():
        if parameter.is_floating_point() and parameter.dtype != wanted:
            yield f"parameter {name!r} is {parameter.dtype}, and the model computes in {wanted}"
            return
    for model, guide in subject.shared:
        name, got = guide["name"], guide["value"].dtype
        if got != model["value"].dtype:
            yield f"site {name!r} has values of {got}, and {model['value'].dtype} in the model"
        for argument, value in arguments(guide).items():
            if value.is_floating_point() and value.dtype != wanted:
                yield (
                    f"site {name!r}: {argument} are {value.dtype}, and the model computes in {wanted}: make "
                    "constants with new_zeros, or dtype=x.dtype"
                )
                break


def _listed(subject: Subject) -> Iterator[str]:
    if "enumerable" in subject.lacks:
        reason = subject.lacks["enumerable"].reason
        raise Skip(f"declared as absent ({reason.format(objective='exact')})")
    listed = [(model, guide) for model, guide in subject.shared if _lists(model)]
    if not listed:
        raise Skip("the values of the model's own latents cannot be listed")
    for _, guide in listed:
        if not _lists(guide):
            yield (
                f"{not_enumerable(guide)}, which the model's is; a guide that cannot be declares lacks = "
                "{'enumerable': 'why'}"
            )


def _lists(site: Site) -> bool:
    return bool(getattr(site["fn"], "has_enumerate_support", False)) and lists_values(site["fn"])


def arguments(site: Site) -> dict[str, Tensor]:
    """The tensors that a site's distribution is made of, by name."""
    found, fn = {}, site["fn"]
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    for name in fn.arg_constraints:
        # Of logits and probs one is made from the other.
        value = fn.__dict__.get(name)
        if isinstance(value, Tensor) and value.is_floating_point():
            found[name] = value
    return found


def _nonfinite(value: Tensor) -> str:
    return "NaN" if bool(value.isnan().any()) else "infinite numbers"


_EVENTS = "give what the model has in plates no to_event, and what it has in an event one"
_SUPPORT = "as many values as the model has, which depends on the batch (batch.source.shape[1], not a number)"
_PLATES = "open the model's plates around it, with their names and dims"
_MASKS = "put the guide's site under the model's poutine.mask"

CHECKS: list[Check[Subject]] = [
    Check("start", "all numbers are finite at the start", _numbers),
    Check("runs", "the guide runs on a batch", _runs, ("start",)),
    Check("names", "no two sites have one name", _names, ("runs",)),
    Check("sites", "the guide draws the model's latents, and nothing else", _sites, ("runs",)),
    Check(
        "event shapes",
        "events have the model's shapes",
        partial(_compared, check_event_shape, _EVENTS),
        ("runs",),
    ),
    Check("plates", "sites are in the model's plates", _plates, ("start",)),
    Check(
        "supports",
        "values are among the model's",
        partial(_compared, check_support, _SUPPORT),
        ("event shapes",),
    ),
    Check(
        "masks",
        "the same elements count as in the model",
        partial(_compared, check_same_masks, _MASKS),
        ("event shapes", "plates"),
    ),
    Check("dtype", "numbers are as wide as the model's", _dtypes, ("runs",)),
    Check("enumeration", "latents can be summed out where the model's can", _listed, ("event shapes",)),
]
