"""What a guide says of a datum must not depend on the other data of its batch.

A batch of one, a smaller last batch, another order, other padding: log q of the same draws stays the same.
Elements that the model masks do not count here; whether the guide masks them is another check.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.model_guide_match import check_event_shape, check_same_plates
from hardpp.inference.weights.sample_sites import Site, elements, plates_of
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.recorded import Recorded, by_datum, log_probs, recorded
from hardpp.tasks.doctor.subject import Subject, rows, with_fields

CLOSE = 1e-4  # nats, and relative, of single precision
_CROWD = "what is computed along the data (a mean over dim 0, a batch norm, a squeeze, a cache) ties them"


def _alone(subject: Subject) -> Iterator[str]:
    batch = subject.batch(1)
    drawn, model = recorded(subject.guide, batch), recorded(subject.model, batch)
    if drawn.error:
        yield f"the guide fails on a batch of one {drawn.error}: look for a squeeze() without a dim"
        return
    for name, site in model.latents.items():
        if name in drawn.latents:
            try:
                check_event_shape(site, drawn.latents[name])
                check_same_plates(site, drawn.latents[name])
            except UsageError as error:
                yield f"on a batch of one {error}: look for a squeeze() without a dim"


def _smaller(subject: Subject) -> Iterator[str]:
    index = torch.arange(_count(subject) - 1)
    yield from _compared(
        subject, index, "in a batch that is smaller by one", "a size of the first batch was kept"
    )


def _reordered(subject: Subject) -> Iterator[str]:
    yield from _compared(
        subject, torch.arange(_count(subject)).flip(0), "when the batch is turned round", _CROWD
    )


def _compared(subject: Subject, index: Tensor, when: str, cause: str) -> Iterator[str]:
    values = {}
    for site in subject.drawn.sites:  # auxiliary ones as well
        if site["is_observed"]:
            continue
        dim, name = _data_dim(site), site["name"]
        if dim is None:
            raise Skip(f"site {name!r} is in no plate of data")
        values[name] = site["value"].index_select(dim, index)
    again = recorded(subject.guide, rows(subject.whole, index), values)
    if again.error:
        yield f"the guide fails {when} {again.error}: {cause}"
        return
    plain, other = _counted(subject, subject.drawn), _counted(subject, again, index)
    for name, terms in plain.items():
        wanted, got = (
            by_datum(subject.drawn.latents[name], terms)[index],
            by_datum(again.latents[name], other[name]),
        )
        yield from _different(name, wanted, got, when, cause)


def _padded(subject: Subject) -> Iterator[str]:
    yield from _embedded(subject)
    refilled, changed = with_other_padding(subject.whole)
    if not changed:
        return
    again = recorded(subject.guide, refilled, subject.drawn.values)
    if again.error:
        yield f"the guide fails where padding holds other values {again.error}"
        return
    plain, other = _counted(subject, subject.drawn), _counted(subject, again)
    for name, terms in plain.items():
        site = subject.drawn.latents[name]
        when = f"where the padding of {', '.join(changed)} holds other values"
        yield from _different(name, by_datum(site, terms), by_datum(site, other[name]), when, _PADDING)


# The first datum alone, and beside longer ones.
def _embedded(subject: Subject) -> Iterator[str]:
    alone = recorded(subject.guide, subject.batch(1))
    if alone.error:
        return
    values = {}
    for name, site in subject.drawn.latents.items():
        value, small = site["value"].clone(), alone.latents[name]["value"]
        dim = _data_dim(site)
        if dim is None or dim != 0 or site["fn"].event_shape or value.dim() != small.dim():
            return  # what is padded in an event is for the event to know
        value[tuple(slice(size) for size in small.shape)] = small
        values[name] = value
    beside = recorded(subject.guide, subject.whole, values)
    first = _counted(subject, beside)
    for name, terms in first.items():
        small = alone.latents[name]
        wanted = by_datum(small, _counted(subject, alone, torch.zeros(1, dtype=torch.int64))[name])
        got = by_datum(beside.latents[name], terms)[:1]
        yield from _different(name, wanted, got, "beside longer data, not alone", _PADDING)


def with_other_padding(batch: Any) -> tuple[Any, list[str]]:
    """A batch whose fields X hold other values where X_mask is False, and which fields these are."""
    changed: list[str] = []

    def other(name: str, field: Tensor) -> Tensor:
        mask = getattr(batch, f"{name}_mask", None)
        if mask is None or field.shape[: mask.dim()] != mask.shape or bool(mask.all()):
            return field
        changed.append(name)
        mask = mask.reshape(*mask.shape, *[1] * (field.dim() - mask.dim()))
        if field.is_floating_point():
            return field.where(mask, field + 1)
        return field.where(mask, (field + 1) % (field.max() + 1))

    return with_fields(batch, other), changed


# Log-probabilities of what both programs draw, 0 where the model masks it, as a mask that the guide lacks is
# told by another check. `index` says which data of the whole batch the run was of.
def _counted(subject: Subject, run: Recorded, index: Tensor | None = None) -> dict[str, Tensor]:
    prior = subject.prior.latents
    return {
        name: masked_as(prior[name], terms, index)
        for name, terms in log_probs(run).items()
        if name in prior and name in run.latents
    }


def masked_as(model: Site, terms: Tensor, index: Tensor | None = None) -> Tensor:
    """The terms of a site, 0 where they do not count in the model.

    Args:
        model: the model's site, on the whole batch.
        terms: of all data, or of those of `index`, which may have fewer steps.
        index: which data of the whole batch.
    """
    _, counts = elements(model)
    dim = _data_dim(model)
    if counts is None or counts.dim() > terms.dim():
        return terms
    if index is not None and dim is not None:
        counts = counts.index_select(dim, index)
    counts = counts[tuple(slice(size) for size in terms.shape[-counts.dim() :])]
    return terms.where(counts, terms.new_zeros(()))


def _different(name: str, wanted: Tensor, got: Tensor, when: str, cause: str) -> Iterator[str]:
    wanted, got = wanted.detach(), got.detach()
    if wanted.shape != got.shape:
        yield f"site {name!r} is of {len(got)} data and not of {len(wanted)} {when}: {cause}"
        return
    apart = ~torch.isclose(wanted, got, CLOSE, CLOSE)
    if bool(apart.any()):
        datum = int(apart.nonzero()[0])
        yield (
            f"site {name!r}: log q of the same draws of datum {datum} is {float(got[datum]):.4f} nats {when},"
            f" and {float(wanted[datum]):.4f} else: {cause}"
        )


def _count(subject: Subject) -> int:
    return int(subject.whole.size)


# Which dim of a site's value are the data: that of the outermost plate.
def _data_dim(site: Site) -> int | None:
    plates = plates_of(site)
    if not plates:
        return None
    dim = site["value"].dim() - len(site["fn"].event_shape) + min(frame.dim for frame in plates)
    return dim if dim >= 0 else None


_PADDING = "mask scores by batch.source_mask, and give readers the masks"

CHECKS: list[Check[Subject]] = [
    Check("batch of one", "a batch of one is a batch", _alone, ("plates", "event shapes")),
    Check(
        "smaller batch",
        "a smaller last batch changes nothing",
        _smaller,
        ("plates", "event shapes", "names", "sites", "repeats"),
    ),
    Check("order", "the order of a batch changes nothing", _reordered, ("smaller batch",)),
    Check("padding", "padding changes nothing", _padded, ("smaller batch", "batch of one")),
]
