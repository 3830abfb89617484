"""Run folders: making one, going on with one, opening one.

    RUN/config.toml  versions.json  data.json  metrics.jsonl  checkpoints/  summary.json

`data.json` keeps what a trained run needs of its data (vocabularies, a fingerprint), so that it can be used
without them. One process at a time trains in a run folder (see `run_lock`); nothing in it is overwritten
without being asked.
"""

import hashlib
import json
import platform
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.config import RunConfig, read_toml, to_toml
from hardpp.data.atomic_files import PARTIAL, remove, write_file
from hardpp.errors import CheckpointError, DataError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.lock import LOCK
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import stored
from hardpp.tasks.family import Programs, Run

# What training and the other verbs write into a run folder, besides what makes it one.
_WRITTEN = ("checkpoints", "metrics.jsonl", "summary.json", "posterior.nc", "plots")
_BEGUN = {LOCK, "versions.json", "data.json"}


def create(folder: Path, config: RunConfig, description: dict[str, Any]) -> None:
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
    write_json(folder / "data.json", description | {"sha256": _digest(description)})
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
    made = (folder / name for name in _WRITTEN if name not in ("checkpoints", "metrics.jsonl"))
    return bool(checkpoint.steps(folder)) or any(path.exists() for path in made)


def check_same_config(folder: Path, config: RunConfig) -> None:
    """Refuses to go on with a run that was begun with another configuration.

    Where it runs (device, threads) may change.

    Raises:
        UsageError: it was; the message names the first key that differs.
        CheckpointError: the folder's configuration is not one of ours.
    """
    stored, wanted = (
        which.model_dump(mode="json", exclude_none=True, exclude={"device", "threads"})
        for which in (_stored(folder), config)
    )
    if found := differing(stored, wanted):
        raise UsageError(
            f"{folder} holds a run with another configuration ({found})", "give another --out, or --force"
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


def check_same_data(folder: Path, description: dict[str, Any]) -> None:
    """Refuses to go on when the data have changed since the run began.

    Raises:
        DataError: they have.
    """
    if _read_json(folder / "data.json").get("fingerprint") != description["fingerprint"]:
        raise DataError(f"the data have changed since {folder} was begun", "give another --out, or --force")


def open_run(folder: Path, device: str = "auto", report: Callable[[str], None] = warnings.warn) -> Run:
    """A trained run with its best weights (the newest sound ones, where no dev bound was taken yet).

    Args:
        folder: the run folder.
        device: auto, cpu or cuda.
        report: told of each checkpoint that is passed over, and why.

    Raises:
        CheckpointError: the folder is no run, or its checkpoint is damaged or missing.
    """
    if not (folder / "config.toml").is_file():
        raise CheckpointError(f"{folder} is not a run folder (no config.toml)", "hardpp train makes one")
    config = _stored(folder)
    description = _read_json(folder / "data.json")
    best = checkpoint.best(folder, report)
    if best is None:
        raise CheckpointError(f"{folder} has no checkpoint")
    where = choose_device(device)
    pyro.settings.set(module_local_params=True)
    task = catalogue.task(config.model)
    try:
        programs = task.build(config, description)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / 'data.json'} is not what hardpp writes there ({error!r})"
        ) from error
    try:
        catalogue.objective(config.objective, config.inference)(*programs).load_state_dict(
            best.checkpoint.model
        )
    except RuntimeError as error:
        raise CheckpointError(f"{best.folder} does not fit its run's configuration ({error})") from error
    for program in programs:
        program.eval()
    return Run(
        folder,
        task,
        config,
        description,
        Programs(*(program.to(where) for program in programs)),
        where,
        best.checkpoint.state["step"],
    )


def choose_device(name: str) -> torch.device:
    """The torch device of `auto` (cuda when there is one), `cpu` or `cuda`.

    Raises:
        UsageError: cuda was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", "use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def versions() -> dict[str, str]:
    """What the run was made with."""
    names = ("hardpp", "torch", "pyro-ppl", "numpy", "arviz", "safetensors")
    return {"python": platform.python_version(), "platform": platform.platform()} | {
        n: version(n) for n in names
    }


def _stored(folder: Path) -> RunConfig:
    path = folder / "config.toml"
    try:
        return stored(read_toml(path))
    except UsageError as error:  # the user's usage is right; it is the folder that was altered
        place = "" if str(path) in str(error) else f"{path}: "
        raise CheckpointError(f"{place}{error}", "was it edited, or written by another version?") from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_file(path, text.encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not what hardpp writes there")
    seal = value.pop("sha256", None)
    if seal not in (None, _digest(value)):
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one that it states")
    return value


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
