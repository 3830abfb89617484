"""How the configuration of a run is made of layers, checked, and read back from a run folder.

Under what the user gives lie the preset, and under that what is recommended for the data, both of the model
family. The whole is checked at once, before any data is read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hardpp.config import RunConfig, merge, problems
from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.catalogue import offer, task, unknown
from hardpp.tasks.family import Task
from hardpp.tasks.objectives import (
    SINGLE_PARTICLE_BASELINE,
    ObjectiveSpec,
    build,
    option_problems,
    options_of,
    with_settings,
    without_retired,
)

OWN = ("data", "network", "decoding")  # tables of which the family has the schema
UNTRAINED = ("prior", "smoothed")  # guides that have no parameters of their own
T = TypeVar("T")


def resolve(layers: list[Mapping[str, Any]]) -> RunConfig:
    """The configuration that layers (weakest first) make, on top of the preset they name.

    The guide that is left out is the one recommended with the objective, if there is one; else the one the
    objective trains: `variational`, or `prior` where it trains none.

    Raises:
        UsageError: unknown names, keys or values, or parts that do not go together; all of them at once.
    """
    tables, lone = merge(layers), SINGLE_PARTICLE_BASELINE
    found: list[str] = []
    family = _try(found, lambda: task(_name(tables, "model")))
    schemas = {} if family is None else {key: getattr(family, key) for key in OWN}
    found += problems(RunConfig, _shared(tables), sections=schemas)
    if family is not None:
        lone, tables = _laid_under(family, tables)
    chosen = _try(found, lambda: offer(_name(tables, "objective")))
    kind = None if chosen is None else chosen.kind
    if kind is not None and "guide" not in tables:
        tables["guide"] = "variational" if kind.trains_guide else "prior"
    if family is not None:
        found += _family_problems(family, kind, tables)
    if chosen is not None:
        tables["inference"] = _options(found, chosen, tables, lone)
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
    inference = without_retired(offer(_name(tables, "objective")), _table(tables, "inference"))
    tables = {**tables, "inference": inference}
    resolve([tables, {"data": {"name": "."}}])
    family = task(_name(tables, "model"))
    return RunConfig(**{**tables, "data": family.data(**_table(tables, "data"))})


# What one particle is compared with, and the tables with what the family lays under them.
def _laid_under(family: Task, tables: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = _table(tables, "data").get("name", "")
    if name == "":
        name = family.data_sets[0]
    recommended = dict(family.settings(str(name)))
    lone = recommended.pop("single_particle_baseline", SINGLE_PARTICLE_BASELINE)
    trained = str(tables.get("guide", UNTRAINED[0])) not in UNTRAINED
    if trained and "objective" in recommended and not offer(recommended["objective"]).kind.trains_guide:
        recommended.pop("objective")  # it does not train the guide that was asked for
    guides, options = (recommended.pop(key, {}) for key in ("guides", "options"))
    sizes = dict(family.presets.get(_name(tables, "preset"), {}))
    options = merge([options, sizes.pop("options", {})])
    objective = _name(merge([recommended, tables]), "objective")
    recommended["inference"] = options.get(objective, {})
    if objective in guides:
        recommended["guide"] = guides[objective]
    return lone, merge([recommended, sizes, tables, {"data": {"name": name}}])


def _family_problems(
    family: Task, kind: type[SurrogateObjective] | None, tables: Mapping[str, Any]
) -> list[str]:
    found, guide = [], _name(tables, "guide")
    if (preset := _name(tables, "preset")) not in family.presets:
        found.append(unknown("preset", preset, family.presets))
    if guide not in family.guides:
        found.append(unknown("guide", guide, family.guides))
    elif kind is not None and not kind.trains_guide and guide not in UNTRAINED:
        found.append(f"objective {kind.name!r} trains no guide: leave --guide out or give prior, not {guide}")
    for section in OWN:
        found += problems(getattr(family, section), _table(tables, section), section)
    name = tables["data"]["name"]
    if isinstance(name, str) and name not in family.data_sets and not family.data.is_there(name):
        if "/" in name or "." in name:
            found.append(f"there is no file or folder {name!r}")
        else:
            found.append(unknown("data set, file or folder", name, family.data_sets))
    return found


# The objective's options, whole; as they are where something is wrong with them, which is found.
def _options(found: list[str], chosen: ObjectiveSpec, tables: Mapping[str, Any], lone: str) -> dict[str, Any]:
    options = with_settings(chosen, _table(tables, "inference"), lone)
    if wrong := option_problems(_name(tables, "objective"), chosen, options):
        found += wrong
        return options
    _try(found, lambda: build(chosen, options))
    return options_of(chosen)(**options).model_dump(exclude_none=True)


def _name(tables: Mapping[str, Any], key: str) -> str:
    return str(tables.get(key, RunConfig.model_fields[key].default))


# A value in place of a table is reported by the schema of the whole; here it counts as an empty one.
def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key, {})
    return dict(value) if isinstance(value, Mapping) else {}


# Which keys [data] has is the model family's to say; here it only has to be a table.
def _shared(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {**tables, "data": {}} if isinstance(tables.get("data"), Mapping) else dict(tables)


def _try(found: list[str], attempt: Callable[[], T]) -> T | None:
    try:
        return attempt()
    except UsageError as error:
        found.append(str(error))
        return None
