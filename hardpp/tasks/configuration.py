"""How the configuration of a run is made of layers, checked, and read back from a run folder.

Under what the user gives lies the preset, and under that what is recommended for the data, both of the model
family. The whole is checked at once, before any data is read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hardpp.config import RunConfig, StageConfig, merge
from hardpp.config.problems import problems
from hardpp.errors import UsageError, unknown
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.catalogue import (
    NONE,
    OwnGuides,
    data_problem,
    data_set,
    family,
    guide_spec,
    objective_spec,
    short_name,
)
from hardpp.tasks.family import Family, Recommended
from hardpp.tasks.guide_choice import check_guide, default_guide, goes_with
from hardpp.tasks.objectives import ObjectiveSpec, build, option_problems, options_of, with_settings
from hardpp.tasks.problems import Problems, Wrong
from hardpp.tasks.stages import KEYS, Planned, planned

_ANY = "."  # data of a run that is read back, which need not be there
OWN = ("data", "network", "decoding")  # tables of which the family has the schema


def resolve(layers: list[Mapping[str, Any]], own_guides: OwnGuides = NONE) -> RunConfig:
    """The configuration that layers (weakest first) make, on top of the preset they name.

    A guide that is left out is the one recommended with the objective, if there is one; else the family's
    first that the objective trains, or its first without parameters where the objective trains none. Such an
    objective also takes a guide that was trained before, by the stage before or by the run of `init_from`.
    What the stages of a run are, `hardpp.tasks.stages` says. `own_guides` were given as classes or guides.

    Raises:
        UsageError: unknown names, keys or values, or parts that do not go together; all of them at once.
    """
    tables, wrong = _renamed(merge(layers)), Problems()
    model = wrong.collect(lambda: family(_name(tables, "model"), own_guides))
    if model is None:
        return _resolved(None, Planned("", {key: value for key, value in tables.items() if key not in KEYS}))
    if isinstance(name := _table(tables, "data").get("name"), str) and name not in model.data_sets:
        tables = merge([tables, {"data": {"name": data_set(name)}}])
    plan = planned(model, tables)
    configs = _all_resolved(model, plan)
    wrong.collect(lambda: model.check(configs))
    wrong.check()
    *before, last = configs
    if not before:
        return last
    fields = StageConfig.model_fields.keys() - {"name"}
    stages = [
        StageConfig(name=stage.name, **{key: getattr(config, key) for key in fields})
        for stage, config in zip(plan, before, strict=False)
    ]
    return last.model_copy(update={"stage": plan[-1].name, "before": stages})


# The configuration of each stage. What is wrong with all of them is told once.
def _all_resolved(model: Family, plan: list[Planned]) -> list[RunConfig]:
    configs, wrong, found = list[RunConfig](), Problems(), dict[str, Problems]()
    before: str | None = None
    for stage in plan:
        try:
            configs.append(_resolved(model, stage, before))
            before = configs[-1].guide
        except Wrong as error:
            found[stage.name], before = error.problems, ""
    everywhere = [each.sentences for each in found.values()] if len(found) == len(plan) else [[]]
    for name, of_stage in found.items():
        for sentence in of_stage.sentences:
            shared = len(plan) == 1 or all(sentence in sentences for sentences in everywhere)
            wrong.add(sentence if shared else f"stage {name}: {sentence}")
        wrong.hints += of_stage.hints
    wrong.check()
    return configs


# `before` is the guide of the stage before, whose weights a stage with the same guide takes over.
def _resolved(model: Family | None, stage: Planned, before: str | None = None) -> RunConfig:
    tables, wrong = dict(stage.tables), Problems()
    if model is None:  # said again, with what else is wrong
        wrong.collect(lambda: family(_name(tables, "model")))
    schemas = {} if model is None else {key: getattr(model, key) for key in OWN}
    wrong.add(*problems(RunConfig, _shared(tables), sections=schemas))
    recommended = Recommended()
    if model is not None:
        recommended, tables = _laid_under(model, tables, stage.name, before)
    spec = wrong.collect(lambda: objective_spec(_name(tables, "objective")))
    if model is not None:
        if spec is not None and "guide" not in tables:
            tables["guide"] = default_guide(model, spec)
        _check_family(wrong, model, spec, tables, before)
    if spec is not None:
        objective = _check_options(wrong, spec, tables, recommended)
        if model is not None and objective is not None and not wrong.sentences:
            _check_needs(wrong, model, objective, tables)
    wrong.check()
    if model is not None:
        if (name := tables["data"]["name"]) not in model.data_sets:
            name = str(Path(name).absolute())
        tables["data"] = model.data(**{**tables["data"], "name": name})
        tables["network"] = model.network(**_table(tables, "network")).model_dump(exclude_none=True)
        tables["decoding"] = model.decoding(**_table(tables, "decoding")).model_dump(exclude_none=True)
    return RunConfig(**tables)


def stored(tables: Mapping[str, Any], own_guides: OwnGuides = NONE) -> RunConfig:
    """The configuration that a run was made of, as `resolve`; where its data are now does not matter.

    Raises:
        UsageError: `resolve` would not have made it.
    """
    tables = _renamed(tables)
    data = tables.get("data")
    missing = [key for key in ("model", "guide", "objective", "data") if key not in tables]
    if isinstance(data, Mapping) and not data.get("name"):
        missing.append("data.name")
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given")
    if options := _table(tables, "inference"):
        retired = objective_spec(_name(tables, "objective")).retired  # without effect when they were given
        tables["inference"] = {name: value for name, value in options.items() if name not in retired}
    model = family(_name(tables, "model"), own_guides)
    here = {"data": {"name": _ANY}} if isinstance(data, Mapping) else {}
    before = tables.pop("before", [])
    own = {key: value for key, value in tables.items() if key != "stage"}
    guide: str | None = None  # of the stage before
    for stage in before if isinstance(before, list) else []:
        if isinstance(stage, Mapping):
            name = str(stage.get("name", ""))
            parts = {key: value for key, value in stage.items() if key != "name"}
            guide = _resolved(model, Planned(name, {**own, **parts, **here}), guide).guide
    _resolved(model, Planned("", merge([own, here])), guide)
    tables["before"] = before
    data = _table(tables, "data")
    if wrong := problems(model.data, data, "data"):
        raise UsageError("; ".join(wrong))
    try:
        return RunConfig(**{**tables, "data": model.data(**data)})
    except ValidationError:
        raise UsageError("; ".join(problems(RunConfig, _shared(tables)))) from None


# Older runs and configurations say `network.looks`.
def _renamed(tables: Mapping[str, Any]) -> dict[str, Any]:
    network = _table(tables, "network")
    if "looks" in network:
        network["alignment"] = network.pop("looks")
    return {**tables, "network": network} if network else dict(tables)


# What the family recommends for the data, and the tables on top of all that it lays under them.
def _laid_under(
    model: Family, tables: dict[str, Any], stage: str, before: str | None
) -> tuple[Recommended, dict[str, Any]]:
    name = _table(tables, "data").get("name", "")
    if name == "":
        name = model.data_sets[0]
    recommended = model.recommended(str(name))
    preset = model.presets.get(_name(tables, "preset"), Recommended())
    below = merge([recommended.tables, recommended.stages.get(stage, {})])
    above = merge([preset.tables, preset.stages.get(stage, {})])
    if "guide" in tables and "objective" in below:
        guide = Problems().collect(lambda: guide_spec(model, str(tables["guide"])))
        if not goes_with(guide, objective_spec(below["objective"]), tables, before):
            below.pop("objective")  # it does not train the guide that was asked for
    objective = short_name(_name(merge([below, tables]), "objective"))
    options = merge([recommended.options, preset.options])
    below["inference"] = options.get(objective, {})
    if objective in recommended.guides:
        below["guide"] = recommended.guides[objective]
    return recommended, merge([below, above, tables, {"data": {"name": name}}])


def _check_family(
    wrong: Problems,
    model: Family,
    spec: ObjectiveSpec | None,
    tables: Mapping[str, Any],
    before: str | None,
) -> None:
    if (preset := _name(tables, "preset")) not in model.presets:
        wrong.add(unknown("preset", preset, model.presets))
    check_guide(wrong, model, spec, tables, (_name(tables, "guide"), _name(tables, "objective")), before)
    for section in OWN:
        wrong.add(*problems(getattr(model, section), _table(tables, section), section))
    name = tables["data"]["name"]
    if isinstance(name, str) and name != _ANY:
        what, hint = data_problem(model, name)
        if what:
            wrong.add(what, hint=hint)


# Completes the objective's options, and makes it, unless something is wrong with them.
def _check_options(
    wrong: Problems, spec: ObjectiveSpec, tables: dict[str, Any], recommended: Recommended
) -> SurrogateObjective | None:
    options = with_settings(spec, _table(tables, "inference"), recommended.single_particle_baseline)
    tables["inference"] = options
    if sentences := option_problems(_name(tables, "objective"), spec, options):
        wrong.add(*sentences)
        return None
    objective = wrong.collect(lambda: build(spec, options))
    tables["inference"] = options_of(spec)(**options).model_dump(exclude_none=True)
    return objective


def _check_needs(
    wrong: Problems, model: Family, objective: SurrogateObjective, tables: Mapping[str, Any]
) -> None:
    of_guide = guide_spec(model, _name(tables, "guide")).lacks
    lacks = {**of_guide, **model.lacks(model.network(**_table(tables, "network")))}
    for need in sorted(objective.needs & lacks.keys()):
        reason, hint = lacks[need]
        wrong.add(reason.format(objective=_name(tables, "objective")), hint=hint)


def _name(tables: Mapping[str, Any], key: str) -> str:
    return str(tables.get(key, RunConfig.model_fields[key].default))


# A value in place of a table is reported by the schema of the whole; here it counts as an empty one.
def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key, {})
    return dict(value) if isinstance(value, Mapping) else {}


# Which keys [data] has is the model family's to say; here it only has to be a table.
def _shared(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {**tables, "data": {}} if isinstance(tables.get("data"), Mapping) else dict(tables)
