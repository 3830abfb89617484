"""What is wrong with tables of settings, by the schema that they should have."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from hardpp.errors import closest


def problems(
    schema: type[BaseModel],
    tables: Mapping[str, Any],
    prefix: str = "",
    sections: Mapping[str, type[BaseModel]] = MappingProxyType({}),
) -> list[str]:
    """One phrase for every unknown key and every wrong value; empty if the tables are as the schema says.

    Args:
        schema: what the tables should be.
        tables: what was given.
        prefix: the key under which the schema stands.
        sections: key -> schema of what the schema leaves open, whose keys may have been meant.
    """
    try:
        schema.model_validate(dict(tables))
    except ValidationError as error:
        keys = list(_keys(schema, prefix, sections))
        return [_phrase(keys, dict(detail), prefix) for detail in error.errors()]
    return []


def _phrase(keys: Sequence[str], detail: dict[str, Any], prefix: str) -> str:
    place = [str(part) for part in detail["loc"]]
    key = ".".join([prefix, *place] if prefix else place)
    if detail["type"] == "model_type":
        return f"{key} is a table of settings, got {detail['input']!r}"
    if detail["type"] != "extra_forbidden":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{key}: {message[0].lower()}{message[1:]}, got {detail['input']!r}"
    # A section may be left out; of several keys with one name the first is meant, so `guide` is the run's.
    by_last_part = {name.rpartition(".")[2]: name for name in reversed(keys)}
    for close in closest(place[-1], by_last_part):
        return f"unknown key {key!r}; did you mean {by_last_part[close]!r}?"
    beside = [whole for whole in keys if whole.rpartition(".")[0] == key.rpartition(".")[0]]
    return f"unknown key {key!r} (there are: {', '.join(beside)})"


def _keys(schema: type[BaseModel], prefix: str, sections: Mapping[str, type[BaseModel]]) -> Iterable[str]:
    for name, field in schema.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        yield key
        inside = sections.get(name, field.annotation)
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            yield from _keys(inside, key, {})
