"""One trainer a run folder: a lock that the kernel lets go of when its process dies.

    RUN/run.lock        "process 4711 on node3", while that process trains there

A file that a killed process left behind is no lock. Where the system (Windows) or the file system knows no
such locks, nothing is held.
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
    """Keeps other trainers out of a run folder, which is made if need be and goes again if it stays empty.

    Raises:
        UsageError: another process trains there; the message says which.
        OSError: the folder cannot be made or written.
    """
    if sys.platform == "win32":
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    handle = _hold(folder / LOCK)
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()  # before it is let go of, so that it is nobody else's yet
        os.close(handle)
        if made:
            with suppress(OSError):  # it holds a run now
                folder.rmdir()


def _hold(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 1000).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise UsageError(
                f"{path.parent} is being trained by {holder}", "wait for its end, or give another --out"
            ) from error
        except OSError:  # a file system without locks
            pass
        if _stands_for(path, handle):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
            return handle
        os.close(handle)


# Whoever held the lock may have removed the file after it was opened here; others would not see that one.
def _stands_for(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
