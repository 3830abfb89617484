"""Packed pairs are kept in the cache, one folder for what is read and how, and made by one process alone.

Whoever wants the same pairs meanwhile waits: other processes of one training, and other commands.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hardpp.data.fetch.cache import cache_folder, derived
from hardpp.data.lines import Report

if sys.platform != "win32":
    import fcntl


def kept(name: str) -> Path | None:
    """The folder of that name, if it is there."""
    folder = cache_folder() / name
    return folder if folder.is_dir() else None


def built(name: str, build: Callable[[Path], None], report: Report) -> Path:
    """The folder of that name, filled by `build` if it is not there, by one process at a time.

    Raises:
        DataError: the cache cannot be written, or as `build` says.
        ResourceError: the disk is full.
    """
    with _alone(cache_folder() / f"{name}.lock", report):
        return derived(name, build)


# The kernel frees the lock when a process dies; where there are none, each builds by itself.
@contextmanager
def _alone(path: Path, report: Report) -> Iterator[None]:
    handle = None
    with suppress(OSError):  # the cache cannot be written, which building says
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    if handle is None or sys.platform == "win32":
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process, which reads the same pairs")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)
