"""What there is: model families, guides, objectives, and every setting of a run, as rows."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hardpp.config import RunConfig
from hardpp.tasks.catalogue import FAMILIES, family, objective_spec
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES, options_of

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
        rows.append(
            {
                "objective": name,
                "bounds": declared.bound,
                "unbiased": "yes" if declared.unbiased else "no",
                "trains the guide": "yes" if declared.trains_guide else "no",
                "what": spec.what,
            }
        )
    return rows


def list_settings(config: RunConfig) -> list[Row]:
    """A row for every setting of a resolved configuration, in the order of `config.toml`.

    Values are written as `--set` takes them; those left out are blank.
    """
    model = family(config.model)
    schemas = {
        "network": model.network,
        "inference": options_of(objective_spec(config.objective)),
        "decoding": model.decoding,
    }
    rows: list[Row] = []
    for name, field in RunConfig.model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            rows += _section(name, type(value), value.model_dump())
        elif name in schemas:
            rows += _section(name, schemas[name], value)
        else:
            rows.append(_row(name, value, field.description))
    return rows


def _section(name: str, schema: type[BaseModel], values: Mapping[str, Any]) -> list[Row]:
    return [
        _row(f"{name}.{key}", values.get(key), field.description)
        for key, field in schema.model_fields.items()
    ]


def _row(name: str, value: Any, what: str | None) -> Row:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return {"setting": name, "value": text, "what": what or ""}
