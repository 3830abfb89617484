"""The cache: a folder of folders that are whole or absent, with what was fetched or computed.

Each is built beside its place and renamed into it, so that it does not matter who else builds it at the same
time. The name of what was computed (generated speech, features of sound) says from what and by which version.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hardpp.data.atomic_files import replacing_folder, write_errors
from hardpp.errors import DataError


def cache_folder() -> Path:
    """`$HARDPP_DATA`, else `$XDG_CACHE_HOME/hardpp`, else `~/.cache/hardpp`; not created here.

    Without any home folder it lies among the temporary files of the user.
    """
    try:
        if own := os.environ.get("HARDPP_DATA"):
            return Path(own).expanduser().absolute()
        shared = os.environ.get("XDG_CACHE_HOME", "")
        if os.path.isabs(shared):  # the XDG specification has relative paths ignored
            return Path(shared) / "hardpp"
        return Path.home() / ".cache" / "hardpp"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"hardpp-cache-{os.getuid()}"


def derived(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of computed data of that name, filled by `build` if it is not there.

    Whatever decides its content is part of the name. Errors are those of `build_folder`.
    """
    folder = cache_folder() / name
    if not folder.is_dir():
        build_folder(folder, build, unless=folder.is_dir)  # what another process has built is the same
    return folder


def build_folder(folder: Path, build: Callable[[Path], None], unless: Callable[[], bool]) -> None:
    """Builds a folder of the cache by filling an empty one, in place of a damaged one.

    `unless` is asked if a folder is there by then: is that one whole, so that it may stay?

    Raises:
        DataError: the folder cannot be written.
        ResourceError: the disk is full.
    """
    hint = "set HARDPP_DATA to a folder that you can write, on a disk with room for it"
    with write_errors(folder, hint, DataError), replacing_folder(folder, unless=unless) as built:
        build(built)
