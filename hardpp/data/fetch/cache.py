"""The cache: a folder of folders that are whole or absent, with what was fetched or computed.

Each is built beside its place and renamed into it. Of several processes that want the same one, one builds it
and the others wait (`hardpp.data.fetch.turns`). The name of what was computed (generated speech, features of
sound) says from what and by which version.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hardpp.data.atomic_files import replacing_folder, write_errors
from hardpp.data.fetch.turns import turn


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


def derived(
    name: str, build: Callable[[Path], None], report: Callable[[str], None] = lambda text: None
) -> Path:
    """The folder of computed data of that name, filled by `build` if it is not there.

    Whatever decides its content is part of the name. `report` and errors are those of `build_folder`.
    """
    folder = cache_folder() / name
    if not folder.is_dir():
        build_folder(folder, build, unless=folder.is_dir, report=report)
    return folder


def build_folder(
    folder: Path, build: Callable[[Path], None], unless: Callable[[], bool], report: Callable[[str], None]
) -> None:
    """Builds a folder of the cache by filling an empty one, in place of a damaged one.

    `unless` is asked when it is this process's turn: has another one built the folder, so that it may stay?
    `report` is told of a process that has to be waited for.

    Raises:
        ResourceError: the disk is full, or the folder cannot be written.
    """
    hint = "set HARDPP_DATA to a folder that you can write, on a disk with room for it"
    with write_errors(folder, hint), turn(folder, report):
        if unless():
            return
        with replacing_folder(folder, unless=unless, named=True) as built:
            build(built)
