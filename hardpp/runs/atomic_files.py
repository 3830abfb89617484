"""Files that are whole or absent: written beside their place and moved there when finished."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardpp.errors import UsageError


@contextmanager
def replacing(path: Path, *, force: bool = True) -> Iterator[Path]:
    """A temporary path in the same folder (made if need be) that becomes `path` if the block succeeds.

    Args:
        path: the file to write.
        force: replace it if it exists.

    Raises:
        UsageError: `path` exists and `force` is not given, or it is a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a file name is needed")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already", "give another name, or --force to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
