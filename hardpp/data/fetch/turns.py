"""Turns at the cache: of several processes that want the same folder of it one builds, and the others wait.

    CACHE/.partial-NAME.lock         the lock on the folder NAME, which the system frees when its holder dies
    CACHE/.partial-NAME.HEX          what is built of it; of a dead process, if nobody holds that lock

File systems without locks have no turns: there each process builds for itself, and the first one counts.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hardpp.data.atomic_files import PARTIAL, delete, unfinished

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}


@contextmanager
def turn(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Waits until no other process builds that folder of a cache, and keeps others waiting during the block.

    What dead processes left half-built in the cache is removed then.

    Args:
        folder: of the cache, which is made if need be.
        report: told if there is another process to wait for.

    Raises:
        OSError: the cache cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = _lock(folder.parent, folder.name)
    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"waiting for another process, which builds {folder}")
            lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        remove_abandoned(folder.parent, ours=folder.name)
        yield
    finally:
        _remove(
            path
        )  # while it is held: who waits for it sees that it has no name any more, and takes another
        lock.release()


def remove_abandoned(cache: Path, ours: str = "") -> None:
    """Removes what killed processes left half-built in a cache, as far as that can be done.

    `ours` is the name of the folder whose turn this process has: nobody else is building that.
    """
    with suppress(OSError):
        for path, name in unfinished(cache).items():
            lock = _lock(cache, name or path.name)
            if name and name == ours:
                if path != lock:
                    delete(path)
                continue
            with suppress(Timeout), FileLock(lock).acquire(timeout=0):
                _remove(path)
                _remove(lock)


def _lock(cache: Path, name: str) -> Path:
    return cache / f"{PARTIAL}{name}.lock"


def _remove(path: Path) -> None:
    with suppress(OSError):
        delete(path)
