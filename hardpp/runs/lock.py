"""A lock on a run folder: one process at a time trains there, and the kernel frees the lock when it dies.

    RUN/run.lock        "process 4711 on node3", while that process trains there

A file that a killed process left behind does not count as a lock. On Windows, and on file systems without
such locks, nothing is locked.
"""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hardpp.errors import UsageError

if sys.platform != "win32":
    import fcntl

LOCK = "run.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other trainers out of a run folder during the block.

    The folder is made if need be, and removed again if it stays empty.

    Raises:
        UsageError: another process trains there, which the message names; or the lock file is a link.
        OSError: the folder cannot be made or written.
    """
    if sys.platform == "win32":
        yield
        return
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    handle = _acquire(folder / LOCK)
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()  # while it is still locked, so that it is nobody else's yet
        os.close(handle)
        if is_new:
            with suppress(OSError):  # it holds a run now
                folder.rmdir()


def _acquire(path: Path) -> int:
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 1000).decode(errors="replace").strip() or "another process"
            os.close(handle)
            hint = "wait for its end, or give another --out"
            raise UsageError(f"{path.parent} is being trained by {holder}", hint) from error
        except OSError:  # a file system without locks
            pass
        # Its holder may have removed the file after it was opened here; others would lock a new one.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(handle)):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
                return handle
        os.close(handle)


# The file is written to, so it must be this folder's alone: neither a link nor a second name of another file.
def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError:
        if not path.is_symlink():
            raise
    else:
        if os.fstat(handle).st_nlink <= 1:
            return handle
        os.close(handle)
    raise UsageError(f"{path} is a link to another file, which is not written to", "remove the link")
