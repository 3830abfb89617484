"""The checkpoints of a run: saved, found again, marked and pruned.

    RUN/checkpoints/step-00001000/    one checkpoint, see `checkpoint_format`
    RUN/checkpoints/latest, best      markers, text files that hold "step-00001000"

A folder gets its step's name only when everything in it is on the disk, so a process killed at any
instant leaves the checkpoints it had before.
"""

import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from hardpp.data.atomic_files import remove, remove_partial, replacing_folder, write_errors, write_file
from hardpp.errors import CheckpointError
from hardpp.runs.checkpoint_format import Checkpoint, check_sizes, encode, load, read
from hardpp.runs.finite_tensors import not_finite

__all__ = ["Checkpoint", "load"]  # used as `checkpoint.load`, too

_STEP = re.compile(r"step-\d{8,18}", re.ASCII)  # names of checkpoints
_MARKER = re.compile(r"(?!step-)[a-z][a-z0-9_-]*", re.ASCII)  # names of markers


class Saved(NamedTuple):
    """A checkpoint that was read, and the folder that holds it."""

    folder: Path
    checkpoint: Checkpoint


def save(run: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint, makes it the run's `latest`, and returns its folder.

    An older checkpoint of the same step is replaced.

    Raises:
        ResourceError: the folder cannot be written; nothing half-written stays, and older checkpoints are as
            they were.
        ValueError, TypeError: the step is negative, or as for `encode`.
    """
    if step < 0:
        raise ValueError(f"a checkpoint's step must be at least 0, got {step}")
    files = encode(checkpoint)
    folder = at_step(run, step)
    hint = f"the checkpoint needs {sum(map(len, files.values()))} bytes; older checkpoints are intact"
    with write_errors(folder, hint), replacing_folder(folder, named=True) as partial:
        for name, data in files.items():
            (partial / name).write_bytes(data)
    mark(run, "latest", folder)
    return folder


def at_step(run: Path, step: int) -> Path:
    """The folder of the run's checkpoint of a step, which need not be there."""
    return run / "checkpoints" / f"step-{step:08d}"


def steps(run: Path) -> list[Path]:
    """The folders of the run's checkpoints, whole or not, oldest step first."""
    return sorted((path for path in _entries(run) if _STEP.fullmatch(path.name)), key=_step)


def complete(run: Path) -> list[Path]:
    """The run's checkpoints with a good manifest and all bytes present, oldest step first.

    Half-written and foreign folders are passed over. SHA-256 is left to `load`, which reads the bytes anyway.
    """
    folders = []
    for folder in steps(run):
        with suppress(CheckpointError):
            check_sizes(folder)
            folders.append(folder)
    return folders


def newest_sound(run: Path, report: Callable[[str], None] = warnings.warn) -> Saved | None:
    """The newest checkpoint of finite numbers that is as its manifest says; None where there are none at all.

    A folder without a manifest is none: it was never finished. `report` is told of each newer one that is
    passed over, and why.

    Raises:
        CheckpointError: there are checkpoints, but none is sound, or their folder cannot be read.
    """
    damaged = []
    for folder in reversed(steps(run)):
        try:
            return _finite(Saved(folder, load(folder)), "all")
        except CheckpointError as error:
            report(f"{folder.name} is passed over ({error})")
            if os.path.lexists(folder / "MANIFEST.json"):
                damaged.append(str(error))
    if damaged:
        raise CheckpointError(f"{run} has no sound checkpoint: {'; '.join(damaged)}")
    return None


def best(run: Path, report: Callable[[str], None] = warnings.warn) -> Saved:
    """The checkpoint of the best dev bound; while none is marked so, the newest that is sound.

    `report` is that of `newest_sound`.

    Raises:
        CheckpointError: the marked one cannot be read, for which no other is taken in silence; or no
            checkpoint is there, or sound; or its weights are not finite, as older versions saved some.
    """
    marker = _marker(run, "best")
    if not os.path.lexists(marker):
        if (newest := newest_sound(run, report)) is None:
            raise CheckpointError(f"{run} has no checkpoint")
        return newest
    try:
        folder = marked(run, "best")
        return _finite(Saved(folder, load(folder)), "model")
    except CheckpointError as error:
        hint = ""
        with suppress(CheckpointError):
            if other := newest_sound(run, lambda text: None):
                hint = f"{other.folder.name} is sound: --checkpoint {other.folder.name} takes it"
        raise CheckpointError(str(error), hint) from error


def mark(run: Path, name: str, folder: Path) -> None:
    """Lets `name`, one word such as "best", stand for a checkpoint of this run, and for no other folder."""
    marker = _marker(run, name)
    ours = folder.resolve().parent == marker.parent.resolve() and _STEP.fullmatch(folder.name)
    if not (ours and folder.is_dir()):
        raise CheckpointError(f"{folder} cannot be marked {name!r}: it is no checkpoint of {run}")
    write_file(marker, f"{folder.name}\n".encode())


def marked(run: Path, name: str) -> Path:
    """The folder that a marker stands for; a CheckpointError if it stands for none."""
    marker = _marker(run, name)
    folder = _named(marker)
    if not folder.is_dir():
        raise CheckpointError(f"{marker} names {folder.name}, which is not there")
    return folder


def prune(run: Path, keep: int, report: Callable[[str], None]) -> None:
    """Keeps the newest `keep` complete checkpoints (at least 1) and the marked ones; removes the rest.

    Checkpoints newer than `latest` were passed over when the run went on: they do not count, and stay until
    training has come past them. What interrupted saves left behind is removed. Where a marker cannot be read
    nobody knows which one it protects: `report` is told, and all checkpoints stay.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}")
    remove_partial(run / "checkpoints")
    markers = [path for path in _entries(run) if _MARKER.fullmatch(path.name) and not path.is_dir()]
    try:
        protected = {marker.name: _named(marker) for marker in markers}
    except CheckpointError as error:
        report(f"no checkpoint is removed: {error}")
        return
    folders = complete(run)
    if "latest" in protected:
        folders = [folder for folder in folders if _step(folder) <= _step(protected["latest"])]
    for folder in folders[:-keep]:
        if folder not in protected.values():
            remove(folder)


# Older versions saved what is not finite. Moments that are not are of no use to go on with.
def _finite(saved: Saved, which: Literal["model", "all"]) -> Saved:
    model, optim, _ = saved.checkpoint
    if bad := not_finite(model if which == "model" else {**optim, **model}, torch.device("cpu")):
        raise CheckpointError(f"{saved.folder} holds weights that are not finite ({bad[0]})")
    return saved


def _entries(run: Path) -> list[Path]:
    # Not by glob, to which a folder that cannot be read is an empty one.
    folder = run / "checkpoints"
    try:
        return [folder / name for name in os.listdir(folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}") from error


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _marker(run: Path, name: str) -> Path:
    if not _MARKER.fullmatch(name):
        raise CheckpointError(f"{name!r} cannot name a checkpoint: it must be one word, such as 'best'")
    return run / "checkpoints" / name


# The folder that a marker names, which need not be there.
def _named(marker: Path) -> Path:
    text = read(marker).decode("ascii", errors="replace").strip()
    if not _STEP.fullmatch(text):
        raise CheckpointError(f"{marker} does not name a checkpoint of this run: {text!r}")
    return marker.with_name(text)
