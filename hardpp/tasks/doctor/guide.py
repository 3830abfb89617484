"""The doctor of guides: `hardpp check guide`."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from hardpp.tasks.doctor import (
    guide_batches,
    guide_causality,
    guide_device,
    guide_draws,
    guide_numbers,
    guide_repeats,
    guide_sites,
    guide_training,
)
from hardpp.tasks.doctor.findings import Check, Finding, examine
from hardpp.tasks.doctor.subject import Subject, subject_of, toy_of
from hardpp.tasks.family import Family
from hardpp.tasks.named_classes import name_of

CHECKS: list[Check[Subject]] = [
    *guide_sites.CHECKS,
    *guide_device.CHECKS,
    *guide_repeats.CHECKS,
    *guide_batches.CHECKS,
    *guide_training.CHECKS,
    *guide_causality.CHECKS,
    *guide_numbers.CHECKS,
    *guide_draws.CHECKS,
]


def check_guide(
    guide: str | type[nn.Module] | nn.Module,
    model: str | type[Family] = "alignment",
    settings: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Looks a guide over on the toy data of a model family; a finding or more for each check.

    Args:
        guide: a name of `hardpp guides`, `package.module:Class`, the class itself, or a guide that is made.
        model: the family, by its name, as `package.module:Class`, or the class itself.
        settings: of the configuration, on top of the toy's: `{"network": {"alignment": "chain"}}`.

    Raises:
        UsageError: there is no such guide or family, the family has no toy data, or the guide cannot be
            made.
    """
    if isinstance(guide, str):
        return examine(subject_of(toy_of(model, settings), guide), CHECKS)
    name = name_of(guide)
    on = toy_of(model, settings, {name: guide})
    return examine(subject_of(on, name), CHECKS)
