"""What there is: model families, guides, objectives, and every setting of a run, as rows."""

import inspect
import json
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from hardpp.config import RunConfig
from hardpp.data.fetch import sources
from hardpp.data.fetch.sources import Listed
from hardpp.tasks.catalogue import FAMILIES, family, guide_spec, objective_spec
from hardpp.tasks.configuration import resolve
from hardpp.tasks.named_classes import load_plugin, offered_alone, package_of
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, alternatives, options_of
from hardpp.tasks.own_guides import NotForModel

Row = dict[str, str]
Report = Callable[[str], None]


def list_models(report: Report = warnings.warn) -> list[Row]:
    """The model families, and the data, guide and objective that each trains with if nothing is said.

    Those of installed packages come last; `report` is told, here and below, of those that are broken.
    """
    rows = [_model(name) for name in FAMILIES]
    return [*rows, *offered_alone("model", FAMILIES, lambda entry: _model(entry.name), report)]


def list_guides(model: str = "alignment", report: Report = warnings.warn) -> list[Row]:
    """The guides of a model family."""
    of = family(model)
    rows = [{"guide": name, "what": guide.summary} for name, guide in of.guides.items()]

    def row(entry: EntryPoint) -> Row | None:
        try:
            what = guide_spec(of, entry.name).summary
        except NotForModel:
            return None
        return {"guide": entry.name, "what": f"{what} ({package_of(entry)})"}

    return [*rows, *filter(None, offered_alone("guide", of.guides, row, report))]


def list_objectives(report: Report = warnings.warn) -> list[Row]:
    """The objectives: what each bounds, whether it is unbiased, and whether it trains the guide."""
    rows = [_objective(name) for name in OBJECTIVES]
    return [*rows, *offered_alone("objective", OBJECTIVES, lambda entry: _objective(entry.name), report)]


def list_data(report: Report = warnings.warn) -> list[Listed]:
    """The data sets that can be fetched, and what is there already; touches no network and reads no data."""

    def row(entry: EntryPoint) -> Listed:
        said = inspect.getdoc(load_plugin("data set", entry)) or ""
        return Listed(
            entry.name, f"{said.splitlines()[0] if said else ''} ({package_of(entry)})", "", "", False, Path()
        )

    fetched = sources.list_data()
    return [*fetched, *offered_alone("data set", [each.name for each in fetched], row, report)]


def list_options(objective: ObjectiveSpec) -> list[Row]:
    """An objective's options: what each may be, its value where none is given, and what it is."""
    rows = []
    for name, field in options_of(objective).model_fields.items():
        kinds = [kind for kind in alternatives(field.annotation) if kind is not type(None)]
        words = [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        words += [kind.__name__ for kind in kinds if get_origin(kind) is not Literal]
        default = "" if field.default is None else str(field.default)
        what = field.description or ""
        rows.append({"option": name, "values": ", ".join(words), "default": default, "what": what})
    return rows


def list_settings(config: RunConfig) -> list[Row]:
    """A row for every setting of a resolved configuration, in the order of `config.toml`.

    Values are written as `--set` takes them; those left out are blank.
    """
    model, options = family(config.model), options_of(objective_spec(config.objective))
    schemas = {"network": model.network, "inference": options, "decoding": model.decoding}
    rows: list[Row] = []
    for name, field in RunConfig.model_fields.items():
        if name in ("stage", "before"):
            continue
        value = getattr(config, name)
        if schema := type(value) if isinstance(value, BaseModel) else schemas.get(name):
            values = dict(value)
            for key, inside in schema.model_fields.items():
                rows.append(_row(f"{name}.{key}", values.get(key), inside.description))
        else:
            rows.append(_row(name, value, field.description))
    if config.before:
        names = [stage.stage for stage in config.stages()]
        what = "one after the other; settings of one: stage.NAME.SETTING, and those that follow: --then"
        rows.append(_row("stages", ",".join(names), what))
    return rows


def _model(name: str) -> Row:
    config = resolve([{"model": name}])
    recommended = {"data": config.data.name, "guide": config.guide, "objective": config.objective}
    return {"model": name, **recommended, "what": family(name).summary}


def _objective(name: str) -> Row:
    spec = objective_spec(name)
    declared = spec.declared
    unbiased, trains = ("yes" if is_so else "no" for is_so in (declared.unbiased, declared.trains_guide))
    row = {"objective": name, "bounds": declared.bound, "unbiased": unbiased, "trains the guide": trains}
    return {**row, "what": spec.what}


def _row(name: str, value: Any, what: str | None) -> Row:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return {"setting": name, "value": text, "what": what or ""}
