"""The files of one checkpoint: tensors as safetensors, the rest as JSON, never pickle.

    step-00001000/{model.safetensors, optim.safetensors, state.json, MANIFEST.json}

The manifest holds the size and SHA-256 of the other three. Equal tensors and state give equal bytes.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, strided

from hardpp.errors import CheckpointError

FORMAT = "hardpp-checkpoint"
VERSION = 1

_FILES = ("model.safetensors", "optim.safetensors", "state.json")


class Checkpoint(NamedTuple):
    """Everything a run needs to go on."""

    model: dict[str, Tensor]  # any shapes and dtypes that safetensors knows; loaded on the CPU
    optim: dict[str, Tensor]  # the same
    state: dict[str, Any]  # what JSON can hold, keys are strings; tuples come back as lists


def encode(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The bytes of each file of a checkpoint, by name.

    Tensors may live on any device, be strided, or share memory: each is written out on its own.

    Raises:
        ValueError: a tensor is sparse.
        TypeError: the state holds something that JSON cannot.
    """
    contents = (
        safetensors.torch.save(_dense(checkpoint.model)),
        safetensors.torch.save(_dense(checkpoint.optim)),
        (json.dumps(checkpoint.state, sort_keys=True) + "\n").encode(),
    )
    files = dict(zip(_FILES, contents, strict=True))
    sums = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    manifest = {"format": FORMAT, "version": VERSION, "files": sums}
    return files | {"MANIFEST.json": (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()}


def load(folder: Path) -> Checkpoint:
    """Reads a checkpoint, after checking the size and SHA-256 of each file against its manifest.

    Raises:
        CheckpointError: the folder is missing, incomplete, altered or not ours; the message names the file
            and what is wrong with it.
    """
    files = {}
    for name, sha256 in check_sizes(folder).items():
        files[name] = read(folder / name)
        if _sha256(files[name]) != sha256:
            raise CheckpointError(f"{folder / name} was altered: its SHA-256 is not the one in its manifest")
    state = _parse(folder / "state.json", json.loads, files["state.json"])
    if not isinstance(state, dict):
        raise CheckpointError(f"{folder / 'state.json'} holds no JSON object")
    model, optim = (_parse(folder / name, safetensors.torch.load, files[name]) for name in _FILES[:2])
    return Checkpoint(model, optim, state)


def check_sizes(folder: Path) -> dict[str, str]:
    """The SHA-256 that the manifest states of each file, once their sizes are as it says; else as `load`."""
    path = folder / "MANIFEST.json"
    manifest = _parse(path, json.loads, read(path))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not the manifest of a hardpp checkpoint")
    if manifest.get("version") != VERSION:
        raise CheckpointError(f"{path} has version {manifest.get('version')!r}; only {VERSION} can be read")
    match manifest.get("files"):
        case dict(files) if set(files) == set(_FILES):
            return {name: _stated_sha256(folder / name, files[name]) for name in _FILES}
    raise CheckpointError(f"{path} does not list exactly {', '.join(_FILES)}")


def mismatch(error: Exception) -> str:
    """Why tensors do not fit a module, in one line of the many in which torch says so."""
    heading, *lines = str(error).splitlines() or [type(error).__name__]
    more = f", and {len(lines) - 1} other mismatches" if len(lines) > 1 else ""
    return shorten(lines[0] if lines else heading, 200, placeholder=" ...") + more


def read(path: Path) -> bytes:
    """The bytes of a file; a CheckpointError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def _dense(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors wants contiguous tensors that share no memory. No metadata: its order is not fixed.
    dense: dict[str, Tensor] = {}
    storages = set()
    for name in sorted(tensors):
        if tensors[name].layout is not strided:
            raise ValueError(f"a checkpoint holds dense tensors only, but {name!r} is {tensors[name].layout}")
        tensor = tensors[name].detach().to("cpu").contiguous()
        dense[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in storages else tensor
        storages.add(dense[name].untyped_storage().data_ptr())
    return dense


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _stated_sha256(path: Path, entry: Any) -> str:
    match entry:
        case {"size": int(stated), "sha256": str(sha256)}:
            size = path.stat().st_size if path.is_file() else 0
            if size != stated:
                raise CheckpointError(f"{path} is missing or truncated: {size} bytes instead of {stated}")
            return sha256
    raise CheckpointError(f"{path.with_name('MANIFEST.json')} gives no size and SHA-256 for {path.name}")


def _parse(path: Path, parse: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return parse(data)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} does not hold {path.suffix.removeprefix('.')}: {error}") from error
