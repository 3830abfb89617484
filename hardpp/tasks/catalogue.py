"""The names the command line takes, and how a configuration made of them is checked.

Names are looked up here and nowhere else. A name may also be `package.module:Class`, or an entry point of
the groups `hardpp.tasks`, `hardpp.guides` and `hardpp.objectives`.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hardpp.config import InferenceConfig, RunConfig, merge, nearest, problems
from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.relaxed import SoftAttention
from hardpp.inference.score_function import ScoreFunctionELBO, TraceGraph
from hardpp.tasks.alignment import AlignmentTask
from hardpp.tasks.task import Task

TASKS: dict[str, type[Task]] = {"alignment": AlignmentTask}

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
        UsageError: there is none; the message has the nearest name.
    """
    return _lookup("model", name, TASKS, "hardpp.tasks")()


def objective(name: str, config: InferenceConfig) -> SurrogateObjective:
    """The objective of that name, with its options.

    Raises:
        UsageError: there is none, or it does not take these options.
    """
    kind = _lookup("objective", name, OBJECTIVES, "hardpp.objectives")
    if issubclass(kind, ScoreFunctionELBO):
        baseline = "soft-attention" if config.baseline == "auto" else config.baseline
        return kind(config.particles, baseline=None if baseline == "none" else baseline)
    if config.baseline != "auto":
        raise UsageError(
            f"objective {name!r} has no baseline, so inference.baseline cannot be {config.baseline!r}"
        )
    if issubclass(kind, TraceGraph):
        return kind(config.particles)
    if config.particles != 1:
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
    names = {
        key: tables.get(key, RunConfig.model_fields[key].default) for key in ("model", "objective", "preset")
    }
    family = _try(found, lambda: task(str(names["model"])))
    kind = _try(found, lambda: _lookup("objective", str(names["objective"]), OBJECTIVES, "hardpp.objectives"))
    if kind is not None and "guide" not in tables:
        tables["guide"] = "variational" if kind.trains_guide else "prior"
    if family is not None:
        if names["preset"] not in family.presets:
            found.append(_unknown("preset", str(names["preset"]), family.presets))
        else:
            tables = merge([family.presets[str(names["preset"])], tables])
        found += problems(family.network, tables.get("network", {}), "network")
        guide = str(tables.get("guide", "variational"))
        if guide not in family.guides and ":" not in guide:
            found.append(_unknown("guide", guide, family.guides))
        elif kind is not None and not kind.trains_guide and guide != "prior":
            found.append(
                f"objective {kind.name!r} trains no guide: leave --guide out or give prior, not {guide}"
            )
        found += _data_problems(str(tables.get("data", {}).get("name", "cmudict")), family)
    inference = tables.get("inference", {})
    if kind is not None and isinstance(inference, Mapping) and not problems(InferenceConfig, inference):
        _try(found, lambda: objective(str(names["objective"]), InferenceConfig(**inference)))
    if found:
        raise UsageError("; ".join(found))
    if family is not None:
        tables["network"] = family.network(**tables.get("network", {})).model_dump()
    return RunConfig(**tables)


def _data_problems(name: str, family: Task) -> list[str]:
    if name in family.data or Path(name).exists():
        return []
    if "/" in name or "." in name:
        return [f"there is no file or folder {name!r}"]
    return [_unknown("data set", name, family.data)]


def _lookup(kind: str, name: str, names: Mapping[str, Any], group: str) -> Any:
    if name in names:
        return names[name]
    for entry in entry_points(group=group):
        if entry.name == name:
            return entry.load()
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
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{kind} {name!r} cannot be imported ({error})") from error


def _unknown(kind: str, name: str, names: Mapping[str, Any] | Any) -> str:
    return f"there is no {kind} {name!r}{nearest(name, names) or f' (there are: {chr(44).join(names)})'}"


def _try(found: list[str], attempt: Any) -> Any:
    try:
        return attempt()
    except UsageError as error:
        found.append(str(error))
        return None
