"""Every setting of a run: its name for `--set`, its value, and what it is."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hardpp.config import RunConfig
from hardpp.tasks.catalogue import offer, task
from hardpp.tasks.objectives import options_of


def described_settings(config: RunConfig) -> list[dict[str, str]]:
    """A row for every setting of a resolved configuration, in the order of `config.toml`.

    Values are written as `--set` takes them; those left out are blank.
    """
    family = task(config.model)
    schemas = {
        "network": family.network,
        "inference": options_of(offer(config.objective)),  # whose docstring has what they are
        "decoding": family.decoding,
    }
    rows: list[dict[str, str]] = []
    for name, field in RunConfig.model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            rows += _section(name, type(value), value.model_dump())
        elif name in schemas:
            rows += _section(name, schemas[name], value)
        else:
            rows.append(_row(name, value, field.description))
    return rows


def _section(name: str, schema: type[BaseModel], values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        _row(f"{name}.{key}", values.get(key), field.description)
        for key, field in schema.model_fields.items()
    ]


def _row(name: str, value: Any, what: str | None) -> dict[str, str]:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return {"setting": name, "value": text, "what": what or ""}
