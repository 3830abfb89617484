"""What there is: model families, guides, objectives, and every setting of a run, as rows."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from hardpp.config import RunConfig
from hardpp.tasks.catalogue import FAMILIES, family, objective_spec
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, alternatives, options_of

Row = dict[str, str]


def list_models() -> list[Row]:
    """The model families, and the data, guide and objective that each trains with if nothing is said."""
    rows = []
    for name in FAMILIES:
        config = resolve([{"model": name}])
        recommended = {"data": config.data.name, "guide": config.guide, "objective": config.objective}
        rows.append({"model": name, **recommended, "what": family(name).summary})
    return rows


def list_guides(model: str = "alignment") -> list[Row]:
    """The guides of a model family."""
    return [{"guide": name, "what": guide.summary} for name, guide in family(model).guides.items()]


def list_objectives() -> list[Row]:
    """The objectives: what each bounds, whether it is unbiased, and whether it trains the guide."""
    rows = []
    for name in OBJECTIVES:
        spec = objective_spec(name)
        declared = spec.declared
        unbiased, trains = ("yes" if is_so else "no" for is_so in (declared.unbiased, declared.trains_guide))
        row = {"objective": name, "bounds": declared.bound, "unbiased": unbiased, "trains the guide": trains}
        rows.append({**row, "what": spec.what})
    return rows


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


def _row(name: str, value: Any, what: str | None) -> Row:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return {"setting": name, "value": text, "what": what or ""}
