"""Run folders: making one, going on with one, opening one.

    RUN/config.toml  versions.json  data.json  metrics.jsonl  checkpoints/  summary.json

`data.json` keeps what a trained run needs of its data (vocabularies, a fingerprint), so that it can be used
without them. One process at a time trains in a run folder (see `hardpp.runs.lock`); nothing in it is
overwritten without being asked.
"""

import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyro
import torch
from torch import nn

from hardpp.config import RunConfig, to_toml
from hardpp.data.atomic_files import PARTIAL, remove, write_file
from hardpp.errors import CheckpointError, UsageError
from hardpp.runs.checkpoint import steps
from hardpp.runs.checkpoint_format import mismatch
from hardpp.runs.chosen_checkpoint import BEST, chosen
from hardpp.runs.lock import LOCK
from hardpp.runs.missing_run import no_run
from hardpp.runs.resources import check_same_size
from hardpp.runs.run_files import (
    changed_classes,
    codes,
    named_code,
    own_guides,
    read_config,
    read_description,
    read_json,
    versions,
    write_description,
    write_json,
)
from hardpp.runs.stage import place_of, step_of
from hardpp.tasks import catalogue
from hardpp.tasks.catalogue import NONE, OwnGuides
from hardpp.tasks.family import Description, Programs
from hardpp.tasks.one_thread import one_thread
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.own_guides import Given

# What training and the other verbs write into a run folder, besides what makes it one.
_RESULTS = ("summary.json", "posterior.nc", "plots")
_WRITTEN = ("checkpoints", "metrics.jsonl", "tensorboard", "bad_batch.json", *_RESULTS)
_BEGUN = {LOCK, "versions.json", "data.json"}


def create(folder: Path, config: RunConfig, description: Description, own_guides: OwnGuides = NONE) -> None:
    """Makes a run folder, in place of an older run if there is one, and writes what it was made of.

    Of an older run goes what hardpp wrote; whatever else lies in its folder stays.

    Raises:
        UsageError: the folder holds something that is no run.
        OSError, ResourceError: what an older run left cannot be removed, or the folder cannot be written.
    """
    holds_run(folder)
    for name in _WRITTEN:
        remove(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    classes = codes(config, own_guides)
    write_json(folder / "versions.json", {**versions(), **({"classes": classes} if classes else {})})
    write_description(folder, description)
    # Last and whole, since this file makes the folder a run.
    write_file(folder / "config.toml", to_toml(config).encode())


def holds_run(folder: Path) -> bool:
    """Does the folder hold a run? False where there is no folder, an empty one, or a run hardly begun.

    Raises:
        UsageError: it holds something else, which is never overwritten.
    """
    if (folder / "config.toml").is_file() and (folder / "versions.json").is_file():
        with suppress(CheckpointError):
            if "hardpp" in read_json(folder / "versions.json"):
                return True
    elif folder.is_dir():
        try:
            names = {path.name for path in folder.iterdir() if not path.name.startswith(PARTIAL)}
        except FileNotFoundError:  # another process has just removed it
            return False
        if names <= _BEGUN:
            return False
    elif not folder.exists():
        return False
    raise UsageError(f"{folder} exists and is no run folder", "give another --out")


def holds_results(folder: Path) -> bool:
    """Does the folder hold a run with a checkpoint, whole or not, or what was made of one?

    A run that was refused or killed before its first checkpoint may be begun anew, as it is or otherwise.

    Raises:
        UsageError: as for `holds_run`.
        CheckpointError: its folder of checkpoints cannot be read.
    """
    if not holds_run(folder):
        return False
    return bool(steps(folder)) or any((folder / name).exists() for name in _RESULTS)


def check_same_config(folder: Path, config: RunConfig, own_guides: OwnGuides = NONE) -> None:
    """Refuses to go on with a run that was begun with another configuration.

    Where and how it runs (device, threads, parts of batches) may change, and where its data lie
    (`hardpp.runs.moved_data`).

    Raises:
        UsageError: it was; the message names the first key that differs, or a class whose code does.
        CheckpointError: the folder's configuration is not one of ours.
    """
    began_with = read_config(folder, named_code(dict(config)), own_guides)
    anywhere: Any = {"device": True, "threads": True, "data": {*config.data.places}}
    how = {"training": {"auto_batch", "compile"}}
    anywhere |= {**how, "before": {"__all__": how}}
    before, now = (
        which.model_dump(mode="json", exclude_none=True, exclude=anywhere) for which in (began_with, config)
    )
    if difference := differing(before, now):
        what = f"{folder} holds a run with another configuration ({difference})"
        raise UsageError(what, "give another --out, or --force")
    if changed := changed_classes(folder, config, own_guides):
        what = f"the class {changed[0]} has changed since {folder} was begun"
        raise UsageError(what, "give another --out, or --force; or undo the change, to go on")


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


@one_thread()  # weights are drawn before they are read, of the state that a training draws from
def open_run(
    folder: Path | str,
    device: str = "auto",
    *,
    trust: bool | Collection[str] = False,
    guide: Given | OwnGuides | None = None,
    checkpoint: str = BEST,
    report: Callable[[str], None] = warnings.warn,
) -> OpenedRun:
    """A trained run with its best weights (the newest, where no dev bound was taken yet), or with others.

    Args:
        folder: the run folder.
        device: "auto" (cuda when there is one), "cpu" or "cuda".
        trust: import the classes that the run's config.toml names as `package.module:Class`, or those of a
            list of such names; else such a run is refused, as whatever their modules do would be done.
        guide: the class of the run's guide, or such a guide, which then needs no import and no trust: of one
            that was defined in a notebook. Of a run of stages, where they have several: name -> class.
        checkpoint: whose weights: "best", "latest", or the name of one, "step-00001000".
        report: told of each checkpoint that is passed over, and why.

    Raises:
        UsageError: `guide` is given, and the run's is one of ours; or there is no such checkpoint.
        CheckpointError: the folder is no run, its checkpoint is damaged or missing, or it names classes to
            import and is not trusted.
    """
    folder = Path(folder)
    if not (folder / "config.toml").is_file():
        raise no_run(folder)
    config = read_config(folder, None if trust is True else list(trust or []), guide)
    family = catalogue.family(config.model, own_guides(dict(config), guide))
    if isinstance(guide, type | nn.Module) and config.guide in family.guides:
        raise UsageError(f"guide= stands for a class that {folder} names, and its guide is {config.guide!r}")
    description = read_description(folder, family.description)
    saved, stages = chosen(folder, checkpoint, report), config.stages()
    place = place_of(saved.checkpoint, len(stages), saved.folder)
    if place.stage + 1 < len(stages):
        name = stages[place.stage].stage
        report(f"{folder}: its {checkpoint} weights are still those of stage {name}, which is not the last")
        config = stages[place.stage]
    where = choose_device(device)
    pyro.settings.set(module_local_params=True)
    build = partial(catalogue.programs, family, config, description)
    check_same_size(build, saved.checkpoint.model, saved.folder)
    try:
        programs = build()
    except UsageError as error:  # of a class that is another one by now
        raise CheckpointError(f"{folder}: {error}", error.hint) from error
    objective = catalogue.objective(config.objective, config.inference)
    try:
        objective(*programs).load_state_dict(saved.checkpoint.model)
    except RuntimeError as error:
        what = f"{saved.folder} does not fit its run's configuration"
        raise CheckpointError(f"{what} ({mismatch(error)})") from error
    for name in changed_classes(folder, config, family.own_guides):
        report(f"{folder}: the class {name} has changed since the run was begun")
    step = step_of(saved.checkpoint, place, saved.folder)
    programs = Programs(*(program.eval().to(where) for program in programs))
    run: OpenedRun = family.run(folder, family, config, description, programs, objective, where, step)
    return run


def choose_device(name: str) -> torch.device:
    """The torch device of `auto` (cuda when there is one), `cpu`, or `cuda`, refused where there is none."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device is one of auto, cpu, cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", "use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
