"""The files that say what a run was made of: config.toml, versions.json and data.json.

They are written whole, and read with suspicion: whatever hardpp would not have written there is refused by a
CheckpointError that names the file. `data.json` states its own SHA-256.
"""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hardpp.config import RunConfig, read_toml
from hardpp.data.atomic_files import write_file
from hardpp.errors import CheckpointError, UsageError
from hardpp.tasks.catalogue import is_foreign
from hardpp.tasks.configuration import stored
from hardpp.tasks.family import Description

NAMES = ("model", "objective", "guide")  # settings that may name a class to be imported

Described = TypeVar("Described", bound=Description)


class UntrustedRun(CheckpointError):
    """A run that names classes to import, which nobody has said to trust."""


def versions() -> dict[str, str]:
    """What a run is made with, by name: Python, the platform and packages."""
    names = ("hardpp", "torch", "pyro-ppl", "numpy", "arviz", "safetensors")
    packages = {name: version(name) for name in names}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


def named_code(tables: Mapping[str, Any]) -> list[str]:
    """Names of classes, not ours, that would be imported by who uses a run of this configuration."""
    before, decoding = tables.get("before"), tables.get("decoding")
    listed = before if isinstance(before, list) else []
    stages = [dict(stage) for stage in listed if isinstance(stage, Mapping | BaseModel)]
    options = decoding.values() if isinstance(decoding, Mapping) else ()
    names = [stage.get(key) for stage in (tables, *stages) for key in NAMES]
    return [name for name in (*names, *options) if isinstance(name, str) and is_foreign(name)]


def read_config(folder: Path, trusted: list[str] | None) -> RunConfig:
    """The configuration of a run; `trusted` are names of classes that may be imported, None: any."""
    path = folder / "config.toml"
    try:
        tables = read_toml(path)
        foreign = named_code(tables)
        if trusted is not None and (strange := [name for name in foreign if name not in trusted]):
            raise UntrustedRun(
                f"{path} names code that opening the run would execute: {', '.join(strange)}",
                "give --trust if you know who made the run",
            )
        return stored(tables)
    except UsageError as error:  # the user's usage is right; it is the folder that was altered
        place = "" if str(path) in str(error) else f"{path}: "
        by = ""
        with suppress(CheckpointError):
            by = f", it says, by hardpp {read_json(folder / 'versions.json')['hardpp']}"
        hint = f"was it edited, or written by another version{by}?"
        raise CheckpointError(f"{place}{error}", hint) from error


def write_description(folder: Path, description: Description) -> None:
    """Writes data.json."""
    contents = description.model_dump(mode="json", exclude_none=True)
    write_json(folder / "data.json", contents | {"sha256": _sha256(contents)})


def read_description(folder: Path, schema: type[Described]) -> Described:
    """What a run keeps of its data, as its family describes data."""
    path = folder / "data.json"
    try:
        return schema.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise CheckpointError(f"{path} is not what hardpp writes there ({key}: {first['msg']})") from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all; a number that is not finite becomes null."""
    finite = {
        key: None if isinstance(number, float) and not math.isfinite(number) else number
        for key, number in value.items()
    }
    write_file(path, (json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, without the SHA-256 that it may state of itself."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not what hardpp writes there")
    stated = value.pop("sha256", None)
    if stated not in (None, _sha256(value)):
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one that it states")
    return value


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
