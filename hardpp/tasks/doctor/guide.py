"""The doctor of guides: `hardpp check guide`."""

from collections.abc import Callable, Mapping
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
    on = toy_of(model, settings)
    name = f"{guide.__module__}:{guide.__qualname__}" if isinstance(guide, type) else guide
    return examine(subject_of(on, _builder(guide, on.family, name)), CHECKS)


# SHIM until merge
def _builder(guide: Any, family: Any, name: str) -> Callable[[Any, Any], nn.Module]:
    import importlib

    if name in family.guides:
        return lambda parts, description: family.guides[name].build(parts)
    if not isinstance(guide, type):
        module, _, attribute = name.partition(":")
        guide = getattr(importlib.import_module(module), attribute)
    if hasattr(guide, "for_model"):
        return guide.for_model
    return lambda parts, description: guide()
