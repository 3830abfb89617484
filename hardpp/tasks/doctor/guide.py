"""The doctor of guides: `hardpp check guide`."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from hardpp.tasks.doctor import guide_batches, guide_causality, guide_device, guide_numbers, guide_sites
from hardpp.tasks.doctor.findings import Check, Finding, examine
from hardpp.tasks.doctor.subject import Subject, subject_of, toy_of

CHECKS: list[Check[Subject]] = [
    *guide_sites.CHECKS,
    *guide_device.CHECKS,
    *guide_batches.CHECKS,
    *guide_causality.CHECKS,
    *guide_numbers.CHECKS,
]


def check_guide(
    guide: str | type[nn.Module], model: str = "alignment", settings: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Looks a guide over on the toy data of a model family; a finding or more for each check.

    Args:
        guide: a name of `hardpp guides`, `package.module:Class`, or the class itself.
        model: the family, by its name or as `package.module:Class`.
        settings: of the configuration, on top of the toy's: `{"network": {"alignment": "chain"}}`.

    Raises:
        UsageError: there is no such guide or family, the family has no toy data, or the guide cannot be
            made.
    """
    from hardpp.tasks.doctor import subject

    name = guide if isinstance(guide, str) else f"{guide.__module__}:{guide.__qualname__}"
    if not isinstance(guide, str):
        subject.SHIM[name] = guide
    return examine(subject_of(toy_of(model, settings), name), CHECKS)
