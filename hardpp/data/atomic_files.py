"""Files and folders that are whole or absent, whatever kills the process that writes them.

Each is written beside its place under a name that nobody can guess, brought to the disk, and then renamed.
Nothing is written through a link: a link that stands in the place is itself replaced. Run folders,
checkpoints, the files that verbs write and the cache of fetched data are all written here.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hardpp.errors import HardppError, ResourceError, UsageError

PARTIAL = ".partial-"  # begins the name of everything that is not in its place yet, or is to be removed

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # file systems, and folders that cannot be read
_OCCUPIED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES}  # the last on Windows
_ATTEMPTS = 5  # renames before giving up on another process that keeps getting in the way
_MANY = 50  # files, from which on one sync of the whole system is faster than one for each


def check_writable(path: Path, *, force: bool = True) -> None:
    """Refuses a path that `write_file` would refuse, and makes its folder; asked before long work."""
    with write_errors(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder; a file name is needed")
        if os.path.lexists(path):
            if not (path.is_symlink() or path.is_file()):
                raise UsageError(f"{path} is not an ordinary file, and is not replaced by one")
            if not force:
                raise UsageError(f"{path} exists already", "give another name, or --force to replace it")
        path.parent.mkdir(parents=True, exist_ok=True)


def write_file(path: Path, data: bytes, *, force: bool = True) -> None:
    """Writes a file, in a folder that is made if need be; `force` replaces one that exists.

    Raises:
        UsageError: `path` exists and `force` is not given, or it is a folder or device.
        ResourceError: the disk is full or the folder not writable; an older file is as it was.
    """
    check_writable(path, force=force)
    partial = _partial(path.parent)
    with write_errors(path):
        try:
            with partial.open("xb") as file:  # x: fails where something, even a dangling link, has that name
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:  # an interrupt, too, must leave nothing half-written
            with suppress(OSError):
                delete(partial)
        _sync_folder(path.parent)


def open_to_append(path: Path) -> TextIO:
    """Opens a text file (UTF-8), made if need be, to append lines; a link is refused by an OSError."""
    no_link = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    return open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags | no_link, 0o666))


@contextmanager
def replacing_folder(
    path: Path, *, unless: Callable[[], bool] = lambda: False, named: bool = False
) -> Iterator[Path]:
    """Gives a new, empty folder to fill, which takes the place of `path` if the block succeeds.

    What stood there before steps aside, and comes back should the new folder not get into its place. `unless`
    is asked if something is there by then: may it stay, and the new folder be dropped? Until then the new
    folder has a name that says, if it is `named`, what it is to become (`unfinished`). An OSError says what
    went wrong; see `write_errors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path.parent, f"{path.name}." if named else "")
    try:
        partial.mkdir()
        yield partial
        _sync_tree(partial)
        _put_in_place(partial, path, unless)
    finally:
        with suppress(OSError):
            delete(partial)


def remove(path: Path) -> None:
    """Removes a file, a folder with all that it holds, or a link without what it points to.

    It first loses its name, so that no half of it is ever taken for the whole.
    """
    if os.path.lexists(path):
        aside = _partial(path.parent)
        os.replace(path, aside)
        try:
            delete(aside)
        except BaseException:  # an interrupt, say; what has lost its name is finished all the same
            with suppress(OSError):
                delete(aside)
            raise


def unfinished(folder: Path) -> dict[Path, str]:
    """What is half-written in a folder, or was when its process was killed: path -> the name it was to get.

    The name is "" where it was not to be known. A folder that cannot be read is an OSError; one that is not
    there has nothing in it.
    """
    names = os.listdir(folder) if folder.is_dir() else []  # not by glob, to which an unreadable one is empty
    parts = {name: name.removeprefix(PARTIAL) for name in sorted(names) if name.startswith(PARTIAL)}
    return {folder / name: rest.rpartition(".")[0] for name, rest in parts.items()}


def remove_partial(folder: Path) -> None:
    """Removes what killed processes left half-written in a folder where no other process writes."""
    try:
        found = unfinished(folder)
    except OSError:  # whoever needs what is in the folder says that it cannot be read
        return
    for path in found:
        delete(path)


def delete(path: Path) -> None:
    """Removes a file or folder where it is, of which nothing is in its place yet, or any more."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def write_errors(path: Path, hint: str = "", otherwise: type[HardppError] = ResourceError) -> Iterator[None]:
    """Tells in one sentence why a file or folder cannot be written, where the block raises an OSError.

    Raises:
        ResourceError: the disk is full or the quota spent.
        HardppError: there is another reason; of the kind `otherwise`.
    """
    try:
        yield
    except OSError as error:
        kind = ResourceError if error.errno in _FULL else otherwise
        raise kind(f"{path} cannot be written: {error.strerror or error}", hint) from error


def _partial(folder: Path, name: str = "") -> Path:
    return folder / f"{PARTIAL}{name}{os.urandom(8).hex()}"


def _put_in_place(folder: Path, path: Path, unless: Callable[[], bool]) -> None:
    older: list[Path] = []
    try:
        for attempt in range(_ATTEMPTS):
            try:
                os.replace(folder, path)
                break
            except OSError as error:
                # Something is there: what is to be replaced, or what a faster process has put there.
                if error.errno not in _OCCUPIED or attempt == _ATTEMPTS - 1:
                    raise
                if not os.path.lexists(path):  # another process has moved it since
                    continue
                if unless():
                    return
                older.append(_partial(path.parent))
                with suppress(FileNotFoundError):  # another process moved it first
                    os.replace(path, older[-1])
        _sync_folder(path.parent)
    finally:
        for aside in older:
            with suppress(OSError):
                if os.path.lexists(path):
                    delete(aside)
                else:
                    os.replace(aside, path)


def _sync_tree(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if len(files) >= _MANY and hasattr(os, "sync"):
        os.sync()
        return
    for path in files:
        with path.open("rb+" if os.name == "nt" else "rb") as file:
            os.fsync(file.fileno())
    for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
