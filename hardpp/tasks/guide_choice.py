"""Which guide goes with which objective: one has to train what the other has to be trained."""

from collections.abc import Mapping
from typing import Any

from hardpp.tasks.catalogue import guide_spec
from hardpp.tasks.family import Family, GuideSpec
from hardpp.tasks.objectives import ObjectiveSpec
from hardpp.tasks.problems import Problems


def goes_with(
    guide: GuideSpec | None, spec: ObjectiveSpec, tables: Mapping[str, Any], before: str | None
) -> bool:
    """Has a guide nothing to train, or is that trained, or was it before?

    Args:
        guide: None: there is none of its name. Of one that is not made yet it is not known what it has.
        spec: of the objective.
        tables: of the configuration; by `init_from` another run has trained the guide.
        before: the guide that the stage before has trained; blank where that stage is refused, so that
            it may have trained any.
    """
    earlier = tables.get("init_from") is not None if before is None else before in ("", tables.get("guide"))
    return earlier or spec.declared.trains_guide or not (guide is None or guide.trained)


def default_guide(model: Family, spec: ObjectiveSpec) -> str:
    """The family's first guide that is trained, if the objective trains it; else its first that is not.

    Where there is none of that kind it is the first of all.
    """
    trained, guides = spec.declared.trains_guide, model.guides
    return next((name for name, guide in guides.items() if guide.trained == trained), next(iter(guides)))


def check_guide(
    wrong: Problems,
    model: Family,
    spec: ObjectiveSpec | None,
    tables: Mapping[str, Any],
    names: tuple[str, str],
    before: str | None,
) -> None:
    """Adds what is wrong with a guide, by `names` of guide and objective; `spec` is None if there is none."""
    name, objective = names
    if spec is None and "guide" not in tables:  # what is left out goes by the objective
        return
    guide = wrong.collect(lambda: guide_spec(model, name))
    if guide is not None and spec is not None and not goes_with(guide, spec, tables, before):
        instead = f"leave --guide out or give {default_guide(model, spec)}, not {name}"
        if model.before:
            instead += ", or go on from a run that has trained it (--init-from)"
        wrong.add(f"objective {objective!r} trains no guide: {instead}")
