"""Folders of the cache that hold what was computed, not fetched: speech that was made, features of sound.

A folder is built beside its place and renamed into it, so it is whole or absent, whatever happens and
whoever else builds it at the same time. Its name says what it was computed from, and by which version.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hardpp.data.fetch.sources import cache_folder
from hardpp.errors import DataError, ResourceError


def derived(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache, built if it is not there.

    Args:
        name: Of the folder; whatever decides its content is part of the name.
        build: Fills an empty folder; called only if need be.

    Raises:
        DataError: The folder cannot be written.
        ResourceError: The disk is full.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as workspace:
            # One level down, since a temporary folder is closed to others and the cache may be shared.
            built = Path(workspace) / "built"
            built.mkdir()
            build(built)
            try:
                os.replace(built, folder)
            except OSError:
                # Another process may have been faster; what it built is the same.
                if not folder.is_dir():
                    raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"{folder}: no space left for it", "set HARDPP_DATA to a larger disk"
            ) from error
        message = f"{folder}: cannot be written ({error.strerror or error})"
        raise DataError(message, "set HARDPP_DATA to a folder that you can write") from error
    return folder
