"""The names that the command line takes for model families and objectives.

They are looked up here and nowhere else. A name may also be `package.module:Class`, or an entry point of the
groups `hardpp.tasks` and `hardpp.objectives`; guides are the family's to name.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hardpp.config import RunConfig, unknown
from hardpp.data.kinds import KINDS, is_comma_separated, kinds_of
from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.family import Family
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, build, options_of, with_settings

# By the name of their class, so that a family is imported only if it is asked for.
FAMILIES: dict[str, str] = {
    "alignment": "hardpp.tasks.alignment.family:AlignmentFamily",
    "online-alignment": "hardpp.tasks.online_alignment.family:OnlineAlignmentFamily",
    "question-answering": "hardpp.tasks.question_answering.family:QuestionAnsweringFamily",
    "glimpse": "hardpp.tasks.glimpse.family:GlimpseFamily",
    "saccader": "hardpp.tasks.saccader.family:SaccaderFamily",
    "masked-image": "hardpp.tasks.masked_image.family:MaskedImageFamily",
    "image-vae": "hardpp.tasks.image_vae.family:ImageVAEFamily",
    "caption": "hardpp.tasks.caption.family:CaptionFamily",
}


def family(name: str) -> Family:
    """The model family of that name.

    Raises:
        UsageError: there is none, and the message has the nearest name; or it is no model family.
    """
    kind = _named("model", name, FAMILIES, "hardpp.tasks")
    if not (isinstance(kind, type) and issubclass(kind, Family)):
        raise UsageError(f"model {name!r} is no model family: it is no subclass of {Family.__name__}")
    undeclared = [key for key in Family.__annotations__ if not hasattr(kind, key)]
    if missing := sorted(kind.__abstractmethods__) or undeclared:
        raise UsageError(f"model {name!r} is no model family: it has no {', '.join(missing)}")
    return kind()


def objective_spec(name: str) -> ObjectiveSpec:
    """What is on offer under an objective's name; a class on offer has the settings of its first row.

    Raises:
        UsageError: nothing, or something that is no objective.
    """
    spec = _named("objective", name, OBJECTIVES, "hardpp.objectives")
    if isinstance(spec, ObjectiveSpec):
        return spec
    if not (isinstance(spec, type) and issubclass(spec, SurrogateObjective)):
        raise UsageError(f"objective {name!r} is no subclass of {SurrogateObjective.__name__}")
    return next((row for row in OBJECTIVES.values() if row.kind is spec), ObjectiveSpec(spec))


def short_name(name: str) -> str:
    """The short name of an objective on offer, however it is spelt; another name stays as it is."""
    try:
        spec = objective_spec(name)
    except UsageError:
        return name
    return next((short for short, row in OBJECTIVES.items() if row is spec), name)


def objective(name: str, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective of that name, with the options of a resolved configuration."""
    return build(objective_spec(name), options)


def measured_objectives(
    family: Family, config: RunConfig, names: Sequence[str] | None, particles: int | None
) -> dict[str, Callable[[], SurrogateObjective]]:
    """How to make each objective: a run's own with its options, others with those of the command line.

    Args:
        family: of the run.
        config: of the run.
        names: of objectives; None: all on offer.
        particles: how many for all that draw some; None: as many as these options say.

    Raises:
        UsageError: one of the names is not on offer.
    """

    def make(name: str, spec: ObjectiveSpec) -> SurrogateObjective:
        options = dict(config.inference) if short_name(name) == short_name(config.objective) else {}
        if particles is not None and "particles" in options_of(spec).model_fields:
            options["particles"] = particles
        baseline = family.recommended(config.data.name).single_particle_baseline
        return build(spec, with_settings(spec, options, baseline))

    return {name: partial(make, name, objective_spec(name)) for name in names or OBJECTIVES}


def data_problem(model: Family, name: str) -> tuple[str, str]:
    """What is wrong with the data that a family is to read, and a hint; blank where nothing is, by names.

    There is no such data set, file or folder, or it plainly is of another kind.
    """
    if name in model.data_sets:
        return "", ""
    if not model.data.is_there(name):
        if "/" in name or "." in name:
            return f"there is no file or folder {name!r}", ""
        return unknown("data set, file or folder", name, model.data_sets), ""
    path, wanted = Path(name), " or ".join(KINDS[kind] for kind in model.reads)
    if is_comma_separated(path) and wanted:
        hint = f"if no field has a comma in it: tr , '\\t' < {name} > {path.with_suffix('.tsv')}"
        what = f"{name} has commas between its fields, and model {model.name} reads {wanted}"
        return what, hint if "lists" in model.reads else ""
    kinds = kinds_of(path)
    if not kinds or not wanted or set(kinds) & set(model.reads):
        return "", ""
    *others, last = [each for each in FAMILIES if kinds[0] in family(each).reads]
    readers = f"{', '.join(others)} and {last}" if others else last
    what = f"{name} seems to hold {KINDS[kinds[0]]}, and model {model.name} reads {wanted}"
    return what, f"such data are for --model {readers}"


def is_foreign(name: str) -> bool:
    """Does a name stand for a class to be imported, `package.module:Class`, that is not one of ours?"""
    return ":" in name and not name.startswith("hardpp.")


def _named(kind: str, name: str, names: Mapping[str, Any], group: str) -> Any:
    value = names.get(name)
    if value is None:
        value = next((entry.value for entry in entry_points(group=group) if entry.name == name), name)
    if not isinstance(value, str):
        return value
    if ":" not in value:
        raise UsageError(unknown(kind, name, names))
    module, _, attribute = value.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever somebody else's module does when it is imported
        raise UsageError(f"{kind} {value!r} cannot be imported ({type(error).__name__}: {error})") from error
