"""Names of files for what has a name or text of its own, no two alike."""

import errno
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

_SOUNDS = {".wav", ".flac", ".sph", ".nist", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au", ".caf"}
_SIGNS = set('<>:"|?*\\')  # which some file systems do not take


def file_names(titles: Sequence[str], longest: int = 60) -> list[str]:
    """The letters and digits of each title, with hyphens for all else; what is alike once cut is numbered."""
    plain = ("".join(c if c.isalnum() else "-" for c in title) for title in titles)
    return distinct([name[:longest].strip("-") or "-" for name in plain])


def file_paths(recordings: Sequence[str]) -> list[str]:
    """Paths in a folder, as recordings lie in theirs: `set/a.wav` is `set/a`; what is alike is numbered.

    No path leaves the folder: `/` at the beginning and `..` are left out.
    """
    paths = [PurePosixPath(name) for name in recordings]
    stems = [path.with_suffix("") if path.suffix.lower() in _SOUNDS else path for path in paths]
    parts = [[part for part in stem.parts if part not in ("/", "//", "..")] or ["-"] for stem in stems]
    return distinct(["/".join(map(_plain, each)) for each in parts])


def may_be_path(name: str) -> bool:
    """Can there be a file or folder of that name? Not if it is too long, or holds a NUL character."""
    try:
        Path(name).exists()
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:
        return False
    return "\0" not in name


def _plain(part: str) -> str:
    return "".join("_" if c in _SIGNS or not c.isprintable() else c for c in part)


def distinct(names: Sequence[str]) -> list[str]:
    """The names as they are, but the second "word" is called "word (2)"."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
