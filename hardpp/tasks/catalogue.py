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

from hardpp.config import DataConfig, InferenceConfig, RunConfig, merge, nearest, problems
from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.relaxed import SoftAttention
from hardpp.inference.score_function import ScoreFunctionELBO, TraceGraph
from hardpp.tasks.alignment import AlignmentTask
from hardpp.tasks.task import Task

TASKS: dict[str, type[Task]] = {"alignment": AlignmentTask}

PARTICLES = 4  # draws of a sampled objective, where no number is given

OBJECTIVES: dict[str, type[SurrogateObjective]] = {
    "elbo": ScoreFunctionELBO,
    "tracegraph": TraceGraph,
    "enum": EnumeratedELBO,
    "exact": ExactMarginal,
    "soft": SoftAttention,
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


def objective(name: str, config: InferenceConfig) -> SurrogateObjective:
    """The objective of that name, with its options.

    Raises:
        UsageError: there is none, or it does not take these options.
    """
    kind = _kind(name)
    particles = config.particles or PARTICLES
    if issubclass(kind, ScoreFunctionELBO):
        if config.baseline == "auto":
            return kind(particles, baseline="leave-one-out" if particles > 1 else "soft-attention")
        return kind(particles, baseline=None if config.baseline == "none" else config.baseline)
    if config.baseline != "auto":
        raise UsageError(
            f"objective {name!r} has no baseline, so inference.baseline cannot be {config.baseline!r}"
        )
    if issubclass(kind, TraceGraph):
        return kind(particles)
    if config.particles is not None:
        raise UsageError(
            f"objective {name!r} draws no particles, so inference.particles cannot be {config.particles}"
        )
    return kind()


def resolve(layers: list[Mapping[str, Any]]) -> RunConfig:
    """The configuration that layers (weakest first) make, on top of the preset they name.

    The guide that is left out is the one the objective trains: `variational`, or `prior` where the
    objective trains none.

    Raises:
        UsageError: unknown names, keys or values, or parts that do not go together; all of them at once.
    """
    tables = merge(layers)
    found = problems(RunConfig, tables)
    family = _try(found, lambda: task(_name(tables, "model")))
    if family is not None:
        preset = _name(tables, "preset")
        if preset in family.presets:
            tables = merge([family.presets[preset], tables])
        else:
            found.append(_unknown("preset", preset, family.presets))
    kind = _try(found, lambda: _kind(_name(tables, "objective")))
    if kind is not None and "guide" not in tables:
        tables["guide"] = "variational" if kind.trains_guide else "prior"
    if family is not None:
        found += problems(family.network, _table(tables, "network"), "network")
        guide = _name(tables, "guide")
        if guide not in family.guides:
            found.append(_unknown("guide", guide, family.guides))
        elif kind is not None and not kind.trains_guide and guide != "prior":
            found.append(
                f"objective {kind.name!r} trains no guide: leave --guide out or give prior, not {guide}"
            )
        found += _data_problems(str(_table(tables, "data").get("name", DataConfig().name)), family)
    if kind is not None and not problems(InferenceConfig, _table(tables, "inference")):
        options = InferenceConfig(**_table(tables, "inference"))
        _try(found, lambda: objective(_name(tables, "objective"), options))
    if found:
        raise UsageError("; ".join(dict.fromkeys(found)))
    if kind is not None and issubclass(kind, ScoreFunctionELBO | TraceGraph):
        tables = merge([{"inference": {"particles": PARTICLES}}, tables])
    data = _table(tables, "data")
    if family is not None and "name" in data and data["name"] not in family.data:
        tables = merge([tables, {"data": {"name": str(Path(data["name"]).absolute())}}])
    if family is not None:
        tables["network"] = family.network(**_table(tables, "network")).model_dump()
    return RunConfig(**tables)


def check(config: RunConfig) -> None:
    """Refuses a configuration that `resolve` would not have made; where its data are now does not matter.

    Raises:
        UsageError: as `resolve` does.
    """
    resolve([config.model_dump(exclude_none=True) | {"data": {"name": "."}}])


def _name(tables: Mapping[str, Any], key: str) -> str:
    return str(tables.get(key, RunConfig.model_fields[key].default))


# A value in place of a table is reported by the schema of the whole; here it counts as an empty one.
def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key, {})
    return dict(value) if isinstance(value, Mapping) else {}


def _data_problems(name: str, family: Task) -> list[str]:
    if name in family.data or Path(name).exists():
        return []
    if "/" in name or "." in name:
        return [f"there is no file or folder {name!r}"]
    return [_unknown("data set, file or folder", name, family.data)]


def _kind(name: str) -> type[SurrogateObjective]:
    kind = _lookup("objective", name, OBJECTIVES, "hardpp.objectives")
    if not (isinstance(kind, type) and issubclass(kind, SurrogateObjective)):
        raise UsageError(f"objective {name!r} is no subclass of {SurrogateObjective.__name__}")
    return kind


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
