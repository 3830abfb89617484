"""Run folders: making one, going on with one, opening one.

    RUN/config.toml  versions.json  data.json  metrics.jsonl  checkpoints/  summary.json

`data.json` keeps what a trained run needs of its data (vocabularies, a fingerprint), so that it can be used
without them. One process at a time trains in a run folder (see `hardpp.runs.lock`); nothing in it is
overwritten without being asked.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyro
from pydantic import ValidationError

from hardpp.config import RunConfig, read_toml, to_toml
from hardpp.data.atomic_files import PARTIAL, remove, write_file
from hardpp.errors import CheckpointError, DataError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.device import choose_device, versions
from hardpp.runs.lock import LOCK
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import stored
from hardpp.tasks.family import Description, Programs
from hardpp.tasks.opened_run import OpenedRun

# What training and the other verbs write into a run folder, besides what makes it one.
_WRITTEN = ("checkpoints", "metrics.jsonl", "summary.json", "posterior.nc", "plots")
_BEGUN = {LOCK, "versions.json", "data.json"}
_NAMES = ("model", "objective", "guide")  # settings that may name a class to be imported


def create(folder: Path, config: RunConfig, description: Description) -> None:
    """Makes a run folder, in place of an older run if there is one, and writes what it was made of.

    Of an older run goes what hardpp wrote; whatever else lies in its folder stays.

    Raises:
        UsageError: the folder holds something that is no run.
        OSError: what an older run left cannot be removed.
        ResourceError: the folder cannot be made or written.
    """
    holds_run(folder)
    for name in _WRITTEN:
        remove(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "versions.json", versions())
    contents = description.model_dump(mode="json", exclude_none=True)
    write_json(folder / "data.json", contents | {"sha256": _sha256(contents)})
    # Last and whole, since this file makes the folder a run.
    write_file(folder / "config.toml", to_toml(config).encode())


def holds_run(folder: Path) -> bool:
    """Does the folder hold a run? False where there is no folder, an empty one, or a run hardly begun.

    Raises:
        UsageError: it holds something else, which is never overwritten.
    """
    if (folder / "config.toml").is_file() and (folder / "versions.json").is_file():
        with suppress(CheckpointError):
            if "hardpp" in _read_json(folder / "versions.json"):
                return True
    elif not folder.exists():
        return False
    elif folder.is_dir():
        names = {path.name for path in folder.iterdir() if not path.name.startswith(PARTIAL)}
        if names <= _BEGUN:
            return False
    raise UsageError(f"{folder} exists and is no run folder", "give another --out")


def holds_results(folder: Path) -> bool:
    """Does the folder hold a run with a checkpoint, whole or not, or what was made of one?

    A run that was refused or killed before its first checkpoint may be begun anew, as it is or otherwise.

    Raises:
        UsageError: the folder holds something that is no run.
        CheckpointError: its folder of checkpoints cannot be read.
    """
    if not holds_run(folder):
        return False
    results = (folder / name for name in _WRITTEN if name not in ("checkpoints", "metrics.jsonl"))
    return bool(checkpoint.steps(folder)) or any(path.exists() for path in results)


def check_same_config(folder: Path, config: RunConfig) -> None:
    """Refuses to go on with a run that was begun with another configuration.

    Where it runs (device, threads) may change.

    Raises:
        UsageError: it was; the message names the first key that differs.
        CheckpointError: the folder's configuration is not one of ours.
    """
    trusted = [getattr(config, key) for key in _NAMES]
    before, now = (
        which.model_dump(mode="json", exclude_none=True, exclude={"device", "threads"})
        for which in (_read_config(folder, trusted), config)
    )
    if difference := differing(before, now):
        raise UsageError(
            f"{folder} holds a run with another configuration ({difference})",
            "give another --out, or --force",
        )


def differing(stored: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> str:
    """The first key of nested tables with its two values, in words; nothing if they are equal."""
    for key in {**wanted, **stored}:
        was, now = stored.get(key), wanted.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            if inside := differing(was, now, f"{prefix}{key}."):
                return inside
        elif was != now:
            return f"{prefix}{key} is {was!r} there, {now!r} here"
    return ""


def check_same_data(folder: Path, description: Description) -> None:
    """Refuses to go on when the data have changed since the run began.

    Raises:
        DataError: they have.
    """
    if _read_json(folder / "data.json").get("fingerprint") != description.fingerprint:
        raise DataError(f"the data have changed since {folder} was begun", "give another --out, or --force")


def open_run(
    folder: Path | str,
    device: str = "auto",
    *,
    trust: bool = False,
    report: Callable[[str], None] = warnings.warn,
) -> OpenedRun:
    """A trained run with its best weights (the newest, where no dev bound was taken yet).

    Args:
        folder: the run folder.
        device: "auto" (cuda when there is one), "cpu" or "cuda".
        trust: import the classes that the run's config.toml names as `package.module:Class`; without it such
            a run is refused, as whatever their modules do would be done.
        report: told of each checkpoint that is passed over, and why.

    Raises:
        CheckpointError: the folder is no run, its checkpoint is damaged or missing, or it names classes to
            import and is not trusted.
    """
    folder = Path(folder)
    if not (folder / "config.toml").is_file():
        raise CheckpointError(f"{folder} is not a run folder (no config.toml)", "hardpp train makes one")
    config = _read_config(folder, None if trust else ())
    family = catalogue.family(config.model)
    description = _read_description(folder, family.description)
    best = best_checkpoint(folder, report)
    where = choose_device(device)
    pyro.settings.set(module_local_params=True)
    programs = family.build(config, description)
    objective = catalogue.objective(config.objective, config.inference)
    try:
        objective(*programs).load_state_dict(best.checkpoint.model)
    except RuntimeError as error:
        raise CheckpointError(f"{best.folder} does not fit its run's configuration ({error})") from error
    for program in programs:
        program.eval()
    programs = Programs(*(program.to(where) for program in programs))
    run: OpenedRun = family.run(
        folder, family, config, description, programs, objective, where, best.checkpoint.state["step"]
    )
    return run


def best_checkpoint(folder: Path, report: Callable[[str], None]) -> checkpoint.Saved:
    """The checkpoint of the best dev bound, or the newest sound one where none was taken yet.

    Raises:
        CheckpointError: there is none, or the best is damaged.
    """
    best = checkpoint.best(folder, report)
    if best is None:
        raise CheckpointError(f"{folder} has no checkpoint")
    return best


# `trusted` are the names of classes that may be imported; None: whichever are named.
def _read_config(folder: Path, trusted: Any = ()) -> RunConfig:
    path = folder / "config.toml"
    try:
        tables = read_toml(path)
        foreign = [str(tables[key]) for key in _NAMES if catalogue.is_foreign(str(tables.get(key, "")))]
        if trusted is not None and (strange := [name for name in foreign if name not in trusted]):
            raise CheckpointError(
                f"{path} names code that opening the run would execute: {', '.join(strange)}",
                "give --trust if you know who made the run",
            )
        return stored(tables)
    except UsageError as error:  # the user's usage is right; it is the folder that was altered
        place = "" if str(path) in str(error) else f"{path}: "
        by = ""
        with suppress(CheckpointError):
            by = f", it says, by hardpp {_read_json(folder / 'versions.json')['hardpp']}"
        raise CheckpointError(
            f"{place}{error}", f"was it edited, or written by another version{by}?"
        ) from error


def _read_description(folder: Path, schema: type[Description]) -> Description:
    path = folder / "data.json"
    try:
        return schema.model_validate(_read_json(path))
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not what hardpp writes there")
    seal = value.pop("sha256", None)
    if seal not in (None, _sha256(value)):
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one that it states")
    return value


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
