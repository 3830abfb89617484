"""The files that say what a run was made of: config.toml, versions.json and data.json.

They are written whole, and read with suspicion: whatever hardpp would not have written there is refused by a
CheckpointError that names the file. `data.json` states its own SHA-256.
"""

import hashlib
import json
import math
import platform
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hardpp.config import RunConfig, read_toml
from hardpp.data.atomic_files import write_file
from hardpp.data.undecoded import utf8
from hardpp.errors import CheckpointError, UsageError
from hardpp.tasks.catalogue import OwnGuides
from hardpp.tasks.configuration import stored
from hardpp.tasks.family import Description
from hardpp.tasks.named_classes import (
    NotImportable,
    code_of,
    import_class,
    is_foreign,
    is_there,
    lookup_places,
    nameless,
)
from hardpp.tasks.own_guides import Given

NAMES = ("model", "objective", "guide")  # settings that may name a class to be imported

Described = TypeVar("Described", bound=Description)


class UntrustedRun(CheckpointError):
    """A run that names classes to import, which nobody has said to trust."""


def versions() -> dict[str, str]:
    """What a run is made with, by name: Python, the platform and packages."""
    names = ("hardpp", "torch", "pyro-ppl", "numpy", "arviz", "safetensors")
    packages = {name: version(name) for name in names}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


def named_code(tables: Mapping[str, Any]) -> dict[str, str]:
    """Classes, not ours, that using a run of this configuration would import: name -> what each is."""
    before, decoding = tables.get("before"), tables.get("decoding")
    listed = before if isinstance(before, list) else []
    stages = [dict(stage) for stage in listed if isinstance(stage, Mapping | BaseModel)]
    names = [(stage.get(key), key) for stage in (tables, *stages) for key in NAMES]
    options = decoding.items() if isinstance(decoding, Mapping) else ()
    names += [(value, f"decoding.{key}") for key, value in options]
    return {name: what for name, what in names if isinstance(name, str) and is_foreign(name)}


def codes(config: RunConfig, own: OwnGuides) -> dict[str, str]:
    """A hash of the code of each class of the user's own that a run names, so that a change can be told."""
    names = [(getattr(stage, key), key) for stage in config.stages() for key in NAMES]
    classes = {name: own.get(name) or import_class(what, name) for name, what in names if is_foreign(name)}
    return {name: code_of(each if isinstance(each, type) else type(each)) for name, each in classes.items()}


def changed_classes(folder: Path, config: RunConfig, own: OwnGuides) -> list[str]:
    """The names of classes of the user's own whose code is not what it was when the run was begun."""
    began_with = read_json(folder / "versions.json").get("classes")
    before = began_with if isinstance(began_with, dict) else {}
    return [name for name, code in codes(config, own).items() if code != before.get(name, code)]


def read_config(
    folder: Path, trusted: Collection[str] | None, guide: Given | OwnGuides | None = None
) -> RunConfig:
    """The configuration of a run.

    Args:
        folder: of the run.
        trusted: names of classes that may be imported; None: any.
        guide: what stands for the class of its guide, or classes and guides by name, which need no import.

    Raises:
        CheckpointError: it is not one that hardpp writes, or names classes that cannot be had or are not
            trusted.
    """
    path = folder / "config.toml"
    try:
        tables = read_toml(path)
        own = own_guides(tables, guide)
        foreign = {name: what for name, what in named_code(tables).items() if name not in own}
        _check_code(path, foreign, trusted)
        return stored(tables, own)
    except UsageError as error:  # the user's usage is right; it is the folder that was altered
        place = "" if str(path) in str(error) else f"{path}: "
        by = ""
        with suppress(CheckpointError):
            by = f", it says, by hardpp {read_json(folder / 'versions.json')['hardpp']}"
        hint = f"was it edited, or written by another version{by}, or is a package of its names missing?"
        raise CheckpointError(f"{place}{error}", error.hint or hint) from error


def own_guides(tables: Mapping[str, Any], guide: Given | OwnGuides | None) -> OwnGuides:
    """Classes and guides by the names that a run has for them."""
    if guide is None or isinstance(guide, Mapping):
        return guide or {}
    return {str(tables.get("guide")): guide}


# Refuses, before anything is imported, classes that are not trusted, and then those that cannot be had.
def _check_code(path: Path, foreign: Mapping[str, str], trusted: Collection[str] | None) -> None:
    needed = {name: what for name, what in foreign.items() if what in NAMES}  # to open it, and not only later
    for name, what in needed.items():
        if why := nameless(name):
            as_guide = f"open it from Python: hardpp.open_run({str(path.parent)!r}, guide=...)"
            hint = as_guide if what == "guide" else "a class that can be imported has a module of its own"
            raise CheckpointError(f"{path} names a {what} that cannot be imported: {why}", hint)
    if trusted is not None and (strange := [name for name in foreign if name not in trusted]):
        named = ", ".join(f"{foreign[name]} {name}" for name in strange)
        missing = [name for name in strange if not is_there(name)]
        lost = f"; {', '.join(missing)} is not to be found here: {lookup_places()}" if missing else ""
        hint = f"give --trust if you know who made the run{lost}"
        raise UntrustedRun(f"{path} names code that opening the run would execute: {named}", hint)
    for name, what in needed.items():
        try:
            import_class(what, name)
        except NotImportable as error:
            hint = error.hint or "the run needs the class that it was trained with"
            raise CheckpointError(f"{path}: {error}", hint) from error


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
    write_file(path, utf8(json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False) + "\n"))


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
