"""The stages of a run: earlier ones that its family begins with, its own, and those that follow by `--then`.

A stage trains the weights of the one before with another objective, guide, network options or optimiser.
What the user says of the run holds for all of its stages, but for what names a stage's method (guide,
objective, its options): that is of the run's own stage alone. In order of strength, weakest first:

    what the family recommends, for the run and for the stage;  what the preset says, likewise
    what the user says of the run;  what makes the stage what it is;  what the user says of the stage

Keys of a configuration: `then`, a list of tables (or of lines, as on the command line); `stages`, names of
those to run; `stage.NAME.SECTION.KEY`, a setting of one stage.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from hardpp.config import merge, parse_setting
from hardpp.errors import UsageError, unknown
from hardpp.tasks.family import Family

KEYS = ("then", "stages", "stage")  # of a configuration
METHOD = ("guide", "objective", "inference")  # of the run's own stage alone
_OF_A_STAGE = (*METHOD, "network", "optimiser", "training")


class Planned(NamedTuple):
    """A stage before its configuration is resolved."""

    name: str
    tables: Mapping[str, Any]  # what the user says, and what makes the stage what it is


def planned(model: Family, tables: Mapping[str, Any]) -> list[Planned]:
    """The stages of a run in order; one without a name, if it has no others.

    Raises:
        UsageError: there is no stage of a name, or a key of a stage is not one.
    """
    if "before" in tables:
        raise UsageError("unknown key 'before'; stages that follow are given as `then`")
    run = {key: value for key, value in tables.items() if key not in KEYS}
    shared = {key: value for key, value in run.items() if key not in METHOD}
    stages = [Planned(stage.name, merge([shared, stage.settings])) for stage in model.before]
    stages.append(Planned(model.stage if stages else "", run))
    for table in map(_table, _list(tables, "then")):
        name = str(table.get("name") or table["objective"])
        settings = {key: value for key, value in table.items() if key != "name"}
        stages.append(Planned(name, merge([shared, settings])))
    own = len(model.before)
    if len(stages) > 1 and not stages[own].name:
        stages[own] = stages[own]._replace(name=str(run.get("objective", "first")))
    return _chosen([*_given(_distinct(stages), tables)], tables)


def parse_then(text: str) -> dict[str, Any]:
    """One `--then "OBJECTIVE KEY=VALUE ..."` as a table, such as `rloo guide=prior training.max_epochs=5`."""
    try:
        objective, *settings = shlex.split(text) or [""]
    except ValueError as error:
        raise UsageError(f"--then {text!r} is not of the form OBJECTIVE KEY=VALUE ... ({error})") from error
    if "=" in objective or not objective:
        raise UsageError(f"--then {text!r} does not begin with an objective")
    return merge([{"objective": objective}, *map(parse_setting, settings)])


def _table(then: Any) -> dict[str, Any]:
    table = parse_then(then) if isinstance(then, str) else then
    if not isinstance(table, Mapping) or "objective" not in table:
        raise UsageError(f"a stage of `then` is a table with an objective, not {then!r}")
    if wrong := [key for key in table if key not in (*_OF_A_STAGE, "name")]:
        where = ", ".join(("name", *_OF_A_STAGE))
        raise UsageError(f"a stage of `then` has no {wrong[0]!r} of its own (it may have {where})")
    return dict(table)


def _distinct(stages: Sequence[Planned]) -> list[Planned]:
    names = [stage.name for stage in stages]
    distinct: list[Planned] = []
    for stage in stages:
        numbered = (f"{stage.name}-{number}" for number in count(2))
        free = (name for name in numbered if name not in names)
        taken = stage.name in [earlier.name for earlier in distinct]
        distinct.append(stage._replace(name=next(free)) if taken else stage)
        names.append(distinct[-1].name)
    return distinct


def _chosen(stages: list[Planned], tables: Mapping[str, Any]) -> list[Planned]:
    chosen = _list(tables, "stages")
    names = [stage.name for stage in stages]
    for name in chosen:
        if name not in names:
            raise UsageError(_no_stage(name, names))
    return [stage for stage in stages if not chosen or stage.name in chosen]


def _given(stages: list[Planned], tables: Mapping[str, Any]) -> Iterator[Planned]:
    given = tables.get("stage", {})
    if not isinstance(given, Mapping):
        raise UsageError(f"stage is a table of stages (stage.NAME.SECTION.KEY), not {given!r}")
    names = [stage.name for stage in stages]
    for name, table in given.items():
        if name not in names:
            raise UsageError(_no_stage(name, names))
        if not isinstance(table, Mapping):
            raise UsageError(f"stage.{name} is a table of settings, not {table!r}")
        if wrong := [key for key in table if key not in _OF_A_STAGE]:
            where = ", ".join(_OF_A_STAGE)
            raise UsageError(f"stage.{name} has no {wrong[0]!r} of its own (it may have {where})")
    for stage in stages:
        yield stage._replace(tables=merge([stage.tables, given.get(stage.name, {})]))


def _no_stage(name: Any, names: Sequence[str]) -> str:
    return "this run has no stages" if [*names] == [""] else unknown("stage", str(name), names)


def _list(tables: Mapping[str, Any], key: str) -> list[Any]:
    value = tables.get(key, [])
    if key == "stages" and isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, list | tuple):
        raise UsageError(f"{key} is a list, not {value!r}")
    return list(value)
