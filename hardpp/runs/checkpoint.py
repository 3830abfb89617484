"""Checkpoints that are whole or absent: tensors as safetensors, the rest as JSON, never pickle.

    RUN/checkpoints/step-00001000/{model.safetensors, optim.safetensors, state.json, MANIFEST.json}
    RUN/checkpoints/latest                  a text file that holds "step-00001000"; so may "best" and others

A folder gets its step's name only when everything in it is on the disk, so a process killed at any
instant leaves the checkpoints it had before. Equal tensors and state give equal bytes.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, strided

from hardpp.errors import CheckpointError, ResourceError
from hardpp.runs.atomic_files import sync_folder, write_synced

FORMAT = "hardpp-checkpoint"
VERSION = 1

_FILES = ("model.safetensors", "optim.safetensors", "state.json")
_STEP = re.compile(r"step-(\d{8,})", re.ASCII)
_MARKER = re.compile(r"(?!step-)[a-z][a-z0-9_-]*", re.ASCII)
_PARTIAL = ".partial-"  # begins every name that is no checkpoint or marker yet, or no longer


class Checkpoint(NamedTuple):
    """Everything a run needs to go on."""

    model: dict[str, Tensor]  # any shapes and dtypes that safetensors knows; loaded on the CPU
    optim: dict[str, Tensor]  # the same
    state: dict[str, Any]  # what JSON can hold, keys are strings; tuples come back as lists


def save(run: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, make it the run's `latest`, and return its folder.

    Tensors may live on any device, be strided, or share memory: each is written out on its own. An
    older checkpoint of the same step is replaced.

    Raises:
        ResourceError: the disk is full, the quota spent or the folder not writable; nothing half-written
            is left behind, and older checkpoints are as they were.
        ValueError: the step is negative, or a tensor is sparse.
        TypeError: the state holds something that JSON cannot.
    """
    if step < 0:
        raise ValueError(f"a checkpoint's step must be at least 0, got {step}")
    contents = {
        "model.safetensors": safetensors.torch.save(_plain(checkpoint.model)),
        "optim.safetensors": safetensors.torch.save(_plain(checkpoint.optim)),
        "state.json": (json.dumps(checkpoint.state, sort_keys=True) + "\n").encode(),
    }
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "files": {name: {"size": len(data), "sha256": _sha256(data)} for name, data in contents.items()},
    }
    contents["MANIFEST.json"] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    folder = run / "checkpoints" / f"step-{step:08d}"
    partial = folder.with_name(_PARTIAL + folder.name)
    needed = sum(len(data) for data in contents.values())
    with _writing(partial, folder, f"the checkpoint needs {needed} bytes; older checkpoints are intact"):
        _remove(partial)
        partial.mkdir(parents=True)
        for name, data in contents.items():
            write_synced(partial / name, data)
        sync_folder(partial)
        _put_in_place(partial, folder)
    mark(run, "latest", folder)
    return folder


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint, after checking the size and SHA-256 of each file against its manifest.

    Raises:
        CheckpointError: the folder is missing, incomplete, altered or not ours; the message names the file
            and what is wrong with it.
    """
    contents = {name: _read(folder / name, sha256) for name, sha256 in _manifest(folder).items()}
    state = _parse(folder / "state.json", json.loads, contents["state.json"])
    if not isinstance(state, dict):
        raise CheckpointError(f"{folder / 'state.json'} holds no JSON object")
    model, optim = (_parse(folder / name, safetensors.torch.load, contents[name]) for name in _FILES[:2])
    return Checkpoint(model, optim, state)


def complete(run: Path) -> list[Path]:
    """The run's checkpoints with a good manifest and all bytes present, oldest step first.

    Half-written and foreign folders are passed over. SHA-256 is left to `load`, which reads the bytes anyway.
    """
    found = {}
    for folder in (run / "checkpoints").glob("step-*"):
        with suppress(CheckpointError):
            if step := _STEP.fullmatch(folder.name):
                _manifest(folder)
                found[folder] = int(step[1])
    return sorted(found, key=lambda folder: found[folder])


def latest(run: Path) -> Path | None:
    """The complete checkpoint of the highest step, or None; the text file `latest` is not asked."""
    return next(reversed(complete(run)), None)


def mark(run: Path, name: str, folder: Path) -> None:
    """Let `name` (for example "best") stand for a checkpoint of this run.

    Raises:
        CheckpointError: the name is not a word, or the folder is not a checkpoint of this run.
        ResourceError: the marker cannot be written; the older one is intact.
    """
    marker = _marker(run, name)
    ours = folder.resolve().parent == marker.parent.resolve() and _STEP.fullmatch(folder.name)
    if not (ours and folder.is_dir()):
        raise CheckpointError(f"{folder} cannot be marked {name!r}: it is no checkpoint of {run}")
    partial = marker.with_name(_PARTIAL + name)
    with _writing(partial, marker):
        write_synced(partial, f"{folder.name}\n".encode())
        os.replace(partial, marker)
        sync_folder(marker.parent)


def marked(run: Path, name: str) -> Path:
    """The folder that a marker stands for.

    Raises:
        CheckpointError: there is no such marker, its text is not the name of a checkpoint, or that
            checkpoint is gone.
    """
    marker = _marker(run, name)
    text = _read(marker).decode("ascii", errors="replace").strip()
    if not _STEP.fullmatch(text):
        raise CheckpointError(f"{marker} does not name a checkpoint of this run: {text!r}")
    folder = marker.with_name(text)
    if not folder.is_dir():
        raise CheckpointError(f"{marker} names {text}, which is not there")
    return folder


def prune(run: Path, keep: int) -> None:
    """Keep the newest `keep` complete checkpoints and the marked ones; remove the rest.

    What interrupted saves left behind goes too.

    Raises:
        ValueError: `keep` is below 1.
        OSError: a folder cannot be removed.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}")
    checkpoints = run / "checkpoints"
    if not checkpoints.is_dir():
        return
    kept = set()
    for path in checkpoints.iterdir():
        if path.is_file() and _MARKER.fullmatch(path.name):
            with suppress(CheckpointError):  # a marker that stands for nothing protects nothing
                kept.add(marked(run, path.name))
    for folder in complete(run)[:-keep]:
        if folder not in kept:
            _remove(folder)
    for path in checkpoints.glob(f"{_PARTIAL}*"):
        _remove(path)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors wants contiguous tensors that share no memory. No metadata: its order is not fixed.
    plain: dict[str, Tensor] = {}
    storages = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        if tensor.layout is not strided:
            raise ValueError(f"a checkpoint holds dense tensors only, but {name!r} is {tensor.layout}")
        tensor = tensor.to("cpu").contiguous()
        if tensor.untyped_storage().data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return plain


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(folder: Path) -> dict[str, str]:
    # The SHA-256 of each file, once the manifest is known to be ours and the sizes agree.
    path = folder / "MANIFEST.json"
    manifest = _parse(path, json.loads, _read(path))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not the manifest of a hardpp checkpoint")
    if manifest.get("version") != VERSION:
        raise CheckpointError(f"{path} has version {manifest.get('version')!r}; only {VERSION} can be read")
    match manifest.get("files"):
        case dict(files) if set(files) == set(_FILES):
            return {name: _sized(folder / name, files[name]) for name in _FILES}
    raise CheckpointError(f"{path} does not list exactly {', '.join(_FILES)}")


def _sized(path: Path, entry: Any) -> str:
    match entry:
        case {"size": int(size), "sha256": str(sha256)}:
            found = path.stat().st_size if path.is_file() else 0
            if found != size:
                raise CheckpointError(f"{path} is missing or truncated: {found} bytes instead of {size}")
            return sha256
    raise CheckpointError(f"{path.with_name('MANIFEST.json')} gives no size and SHA-256 for {path.name}")


def _read(path: Path, sha256: str | None = None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if sha256 is not None and _sha256(data) != sha256:
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one in its manifest")
    return data


def _parse(path: Path, parse: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return parse(data)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} does not hold {path.suffix.removeprefix('.')}: {error}") from error


def _marker(run: Path, name: str) -> Path:
    if not _MARKER.fullmatch(name):
        raise CheckpointError(f"{name!r} cannot name a checkpoint: it must be one word, such as 'best'")
    return run / "checkpoints" / name


@contextmanager
def _writing(partial: Path, goal: Path, hint: str = "") -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # an interrupt, too, must leave nothing half-written
        with suppress(OSError):
            _remove(partial)
        if isinstance(error, OSError):
            raise ResourceError(f"{goal} cannot be written: {error.strerror or error}", hint) from error
        raise


def _put_in_place(partial: Path, folder: Path) -> None:
    # os.replace refuses a folder that is not empty, so an older one of the same step steps aside first.
    older = folder.with_name(f"{_PARTIAL}older-{folder.name}")
    _remove(older)
    if folder.exists():
        os.replace(folder, older)
    try:
        os.replace(partial, folder)
        sync_folder(folder.parent)
    finally:
        if folder.exists():
            _remove(older)
        elif older.exists():
            os.replace(older, folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        (path / "MANIFEST.json").unlink(missing_ok=True)  # first, so that no half of it passes for complete
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
