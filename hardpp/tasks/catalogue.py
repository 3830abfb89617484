"""The names the command line takes, and how a configuration made of them is checked.

Names are looked up here and nowhere else. The name of a model family or objective may also be
`package.module:Class`, or an entry point of the groups `hardpp.tasks` and `hardpp.objectives`; guides are
the model family's to name.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hardpp.config import RunConfig, merge, nearest, problems
from hardpp.data.transduction import parallel
from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.captions.family import CaptionTask
from hardpp.tasks.glimpses.family import GlimpseTask
from hardpp.tasks.objectives import (
    LONE,
    OBJECTIVES,
    Offer,
    build,
    option_problems,
    options_of,
    with_settings,
)
from hardpp.tasks.questions.family import QuestionTask
from hardpp.tasks.speech.family import OnlineAlignmentTask
from hardpp.tasks.task import Task
from hardpp.tasks.transduction.family import AlignmentTask

UNTRAINED = ("prior", "smoothed")  # guides that have no parameters of their own
TASKS: dict[str, type[Task]] = {
    "alignment": AlignmentTask,
    "online-alignment": OnlineAlignmentTask,
    "question-answering": QuestionTask,
    "glimpse": GlimpseTask,
    "caption": CaptionTask,
}


def task(name: str) -> Task:
    """The model family of that name.

    Raises:
        UsageError: there is none, and the message has the nearest name; or it is no model family.
    """
    kind = _lookup("model", name, TASKS, "hardpp.tasks")
    if not (isinstance(kind, type) and hasattr(kind, "presets") and hasattr(kind, "guides")):
        raise UsageError(f"model {name!r} is no model family (see hardpp.tasks.task.Task)")
    return kind()


def objective(name: str, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective of that name, with the options of a resolved configuration.

    Raises:
        UsageError: there is none, or its options do not go together.
    """
    return build(offer(name), options)


def resolve(layers: list[Mapping[str, Any]]) -> RunConfig:
    """The configuration that layers (weakest first) make, on top of the preset they name.

    The guide that is left out is the one recommended with the objective, if there is one; else the one the
    objective trains: `variational`, or `prior` where it trains none.

    Raises:
        UsageError: unknown names, keys or values, or parts that do not go together; all of them at once.
    """
    tables = merge(layers)
    found, lone = problems(RunConfig, _shared(tables)), LONE
    family = _try(found, lambda: task(_name(tables, "model")))
    if family is not None:
        preset = _name(tables, "preset")
        if preset not in family.presets:
            found.append(_unknown("preset", preset, family.presets))
        name = str(_table(tables, "data").get("name") or family.data_sets[0])
        recommended = dict(family.settings(name))
        lone = recommended.pop("lone_baseline", LONE)
        named = recommended.get("objective")
        if str(tables.get("guide", UNTRAINED[0])) not in UNTRAINED and named and not _trains_guide(named):
            recommended.pop("objective")  # it does not train the guide that was asked for
        guides, options = (recommended.pop(key, {}) for key in ("guides", "options"))
        sizes = dict(family.presets.get(preset, {}))
        options = merge([options, sizes.pop("options", {})])
        wanted = _name(merge([recommended, tables]), "objective")
        recommended["inference"] = options.get(wanted, {})
        if wanted in guides:
            recommended["guide"] = guides[wanted]
        tables = merge([recommended, sizes, tables, {"data": {"name": name}}])
    chosen = _try(found, lambda: offer(_name(tables, "objective")))
    kind = None if chosen is None else chosen.kind
    if kind is not None and "guide" not in tables:
        tables["guide"] = "variational" if kind.trains_guide else "prior"
    if family is not None:
        found += problems(family.network, _table(tables, "network"), "network")
        guide = _name(tables, "guide")
        if guide not in family.guides:
            found.append(_unknown("guide", guide, family.guides))
        elif kind is not None and not kind.trains_guide and guide not in UNTRAINED:
            found.append(
                f"objective {kind.name!r} trains no guide: leave --guide out or give prior, not {guide}"
            )
        found += problems(family.data, _table(tables, "data"), "data")
        found += problems(family.decoding, _table(tables, "decoding"), "decoding")
        found += _data_problems(name, family)
    if chosen is not None:
        options = with_settings(chosen, _table(tables, "inference"), lone)
        wrong = option_problems(_name(tables, "objective"), chosen, options)
        found += wrong
        if not wrong:
            _try(found, lambda: build(chosen, options))
            tables["inference"] = options_of(chosen)(**options).model_dump(exclude_none=True)
    if found:
        raise UsageError("; ".join(dict.fromkeys(found)))
    if family is not None:
        if (name := tables["data"]["name"]) not in family.data_sets:
            name = str(Path(name).absolute())
        tables["data"] = family.data(**{**tables["data"], "name": name})
        tables["network"] = family.network(**_table(tables, "network")).model_dump()
        decoding = family.decoding(**_table(tables, "decoding"))
        tables["decoding"] = decoding.model_dump(exclude_none=True)
    return RunConfig(**tables)


def stored(tables: Mapping[str, Any]) -> RunConfig:
    """The configuration that a run was made of; where its data are now does not matter.

    Raises:
        UsageError: `resolve` would not have made it.
    """
    resolve([tables, {"data": {"name": "."}}])
    family = task(_name(tables, "model"))
    return RunConfig(**{**tables, "data": family.data(**_table(tables, "data"))})


def _name(tables: Mapping[str, Any], key: str) -> str:
    return str(tables.get(key, RunConfig.model_fields[key].default))


# A value in place of a table is reported by the schema of the whole; here it counts as an empty one.
def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key, {})
    return dict(value) if isinstance(value, Mapping) else {}


# Which keys [data] has is the model family's to say; here it only has to be a table.
def _shared(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {**tables, "data": {}} if isinstance(tables.get("data"), Mapping) else dict(tables)


def _data_problems(name: str, family: Task) -> list[str]:
    if name in family.data_sets or Path(name).exists() or parallel.is_beginning(name):
        return []
    if "/" in name or "." in name:
        return [f"there is no file or folder {name!r}"]
    return [_unknown("data set, file or folder", name, family.data_sets)]


def offer(name: str) -> Offer:
    """What is on offer under an objective's name.

    Raises:
        UsageError: nothing, or something that is no objective.
    """
    found = _lookup("objective", name, OBJECTIVES, "hardpp.objectives")
    if isinstance(found, Offer):
        return found
    if not (isinstance(found, type) and issubclass(found, SurrogateObjective)):
        raise UsageError(f"objective {name!r} is no subclass of {SurrogateObjective.__name__}")
    return Offer(found, {})


def _trains_guide(name: str) -> bool:
    return offer(name).kind.trains_guide


def _lookup(kind: str, name: str, names: Mapping[str, Any], group: str) -> Any:
    if name in names:
        return names[name]
    for entry in entry_points(group=group):
        if entry.name == name:
            return imported(entry.value, kind)
    if ":" in name:
        return imported(name, kind)
    raise UsageError(_unknown(kind, name, names))


def imported(name: str, kind: str) -> Any:
    """The object that `package.module:Name` names.

    Raises:
        UsageError: it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever somebody else's module does when it is imported
        raise UsageError(f"{kind} {name!r} cannot be imported ({type(error).__name__}: {error})") from error


def _unknown(kind: str, name: str, names: Mapping[str, Any] | Any) -> str:
    others = f" (there are: {', '.join(names)})"
    return f"there is no {kind} {name!r}{nearest(name, names) or others}"


def _try(found: list[str], attempt: Any) -> Any:
    try:
        return attempt()
    except UsageError as error:
        found.append(str(error))
        return None
