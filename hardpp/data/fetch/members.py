"""What is wanted out of an archive, and the SHA-256 that pins it.

A member is a file, "PATH", or all files below a folder, "PATH/**". A file is pinned by the SHA-256 of its
bytes, a folder by the SHA-256 of the lines `SHA256  PATH` of its files, sorted by path, which
is what `find PATH -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BELOW = "/**"


def chosen(names: Iterable[str], member: str) -> list[str]:
    """Those names of files in an archive that a member stands for, sorted; a file is not looked for."""
    if not member.endswith(_BELOW):
        return [member]
    start = member.removesuffix("**")
    return sorted(name for name in names if name.startswith(start) and not name.endswith("/"))


def found(folder: Path, member: str) -> list[str]:
    """The files below `folder` that a member stands for, relative to it and sorted.

    Raises:
        OSError: The member, a file, is not there. A folder that is not there has no files.
    """
    if not member.endswith(_BELOW):
        (folder / member).stat()
        return [member]
    below = (folder / member.removesuffix(_BELOW)).rglob("*")
    return sorted(path.relative_to(folder).as_posix() for path in below if path.is_file())


def size(folder: Path, member: str) -> int:
    """Bytes of a member below `folder`.

    Raises:
        OSError: A file is not there.
    """
    return sum((folder / name).stat().st_size for name in found(folder, member))


def pin(folder: Path, member: str) -> str:
    """The SHA-256 (64 hex digits) that pins a member as it lies below `folder`.

    Raises:
        OSError: A file cannot be read.
    """
    if not member.endswith(_BELOW):
        return digest(folder / member)
    lines = [f"{digest(folder / name)}  {name}\n" for name in found(folder, member)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
