"""Whether a guide has its tensors with it and computes where its batch is, without a second device.

Parameters of `pyro.param` are in a store of Pyro's, and not in the guide. A tensor that is neither parameter
nor buffer stays behind when a module is moved. And torch's meta device has shapes and no numbers: an
operation on tensors of that device and of the CPU is refused as it would be on a GPU, but what asks for a
number cannot be answered there.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.recorded import recorded
from hardpp.tasks.doctor.subject import Subject, with_fields
from hardpp.tasks.own_parameters import check_own

_META = torch.device("meta")
_MIXED = ("expected device", "on the same device", "two devices")  # in what torch says of two devices

_WHERE = "make tensors with device=batch.source.device, or new_zeros of another"


def _store(subject: Subject) -> Iterator[str]:
    for name, value in subject.drawn.params.items():
        try:
            check_own(name, value, subject.guide)
        except UsageError as error:
            yield f"{error}: {error.hint}"


def left_behind(module: nn.Module) -> Iterator[str]:
    """Names of tensors with dims that are no parameters or buffers: `.to(device)` leaves them behind."""
    for prefix, part in module.named_modules():
        own = {id(tensor) for tensor in (*part._parameters.values(), *part._buffers.values())}
        for name, value in vars(part).items():
            inside = value if isinstance(value, list | tuple) else (value,)
            inside = inside.values() if isinstance(inside, dict) else inside
            if any(isinstance(v, Tensor) and v.dim() > 0 and id(v) not in own for v in inside):
                yield f"{prefix}.{name}".lstrip(".")


def _devices(subject: Subject) -> Iterator[str]:
    behind = list(left_behind(subject.guide))
    for name in behind:
        yield f"{name!r} of the guide is a plain tensor, which stays behind when it is moved: register_buffer"
    if behind:
        return
    guide = copy.deepcopy(subject.guide).to(_META)
    batch: Any = with_fields(subject.whole, lambda _, field: field.to(_META))
    run = recorded(guide, batch)
    if run.error:
        if any(words in run.error for words in _MIXED):
            yield f"the guide mixes devices {run.error}: {_WHERE}"
            return
        raise Skip(f"the guide asks for numbers, which only a second device has ({run.error})")
    for site in run.sites:
        # A number without dims may be anywhere.
        if not site["is_observed"] and site["value"].dim() and site["value"].device != _META:
            yield (
                f"site {site['name']!r} is on {site['value'].device} where the batch is on another device: "
                f"{_WHERE}"
            )


CHECKS: list[Check[Subject]] = [
    Check("parameters", "all parameters are the guide's own", _store, ("runs",)),
    Check("device", "the guide computes where its batch is", _devices, ("runs", "parameters")),
]
