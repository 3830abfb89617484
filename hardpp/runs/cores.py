"""How many CPU cores this process may use: by its affinity, and by the quota of its control group.

A container or a batch system often gives fewer than the machine has, and torch does not look at quotas.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hardpp.errors import ResourceError

_GROUPS = Path("/sys/fs/cgroup")  # where Linux shows control groups, of both versions
_OURS = Path("/proc/self/cgroup")


def cores(groups: Path = _GROUPS, ours: Path = _OURS) -> int:
    """The number of cores that this process may use, at least 1.

    Args:
        groups: where control groups are mounted.
        ours: which of them the process is in, a line a hierarchy: NUMBER:CONTROLLERS:PATH.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *(int(quota) for quota in _quotas(groups, ours))]))


def check_threads(number: int) -> None:
    """Refuse, by a ResourceError, more threads than can be started: OpenMP would end the process."""
    if number <= cores():
        return
    end, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(number):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError) as error:
        what = f"{number:,} threads cannot be started, but {len(started):,} ({error})"
        raise ResourceError(what, f"give fewer (--threads): there are {cores()} cores") from error
    finally:
        end.set()
        for thread in started:
            thread.join()


# Cores' worth of time in a period, of each group that limits this process; what cannot be read is no limit.
def _quotas(groups: Path, ours: Path) -> Iterator[float]:
    try:
        lines = ours.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        version_2 = not controllers
        mount = groups if version_2 else groups / "cpu"
        # In a container the path may be that of the host: then the group is mounted at the top.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            folder = mount / str(group).lstrip("/")
            names = ("cpu.max",) if version_2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            try:
                words = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
                quota, period = (float(word) for word in words)
            except (OSError, ValueError):  # no such file, or "max"
                continue
            if quota > 0 and period > 0:  # -1: none, in version 1
                yield quota / period
