"""Parts of a list of pairs that lie in several files: `train-00000.tsv.gz` and so on, or a folder `train`.

Files of a part are read as one, in the order of their numbers. A part may be one file as well.
"""

import re
from pathlib import Path

from hardpp.data.parts import PARTS, part_called
from hardpp.data.transduction.list_parts import ENDINGS, Parts, sets_in
from hardpp.errors import DataError

_NUMBERED = re.compile(
    r"(.+?)[._-](?:part[._-]?)?\d+(?:[._-]of[._-]\d+)?((?:\.[a-z]+)?)(?:\.gz)?", re.IGNORECASE
)
_ENDING = re.compile(r"[^.]*((?:\.[a-z]+)?)(?:\.gz)?", re.IGNORECASE)


def sharded_parts(path: Path) -> dict[str, list[Path]]:
    """The files of every part of a folder in which some part lies in several files; else nothing.

    Raises:
        DataError: a part is missing.
    """
    found: dict[str, list[Path]] = {}
    for entry in sorted(path.iterdir(), key=_by_number) if path.is_dir() else ():
        match = _NUMBERED.fullmatch(entry.name)
        if entry.is_dir() and (part := part_called(entry.name)) is not None:
            files = sorted(entry.iterdir(), key=_by_number)
            found.setdefault(part, []).extend(file for file in files if _is_list(file))
        elif match and match[2].lower() in ENDINGS and (part := part_called(match[1])) and entry.is_file():
            found.setdefault(part, []).append(entry)
    found = {part: files for part, files in found.items() if files}
    if not found:
        return {}
    whole: Parts = sets_in(path).get("", {}) or _others(path)
    parts = {part: found.get(part) or [whole[part]] for part in PARTS if part in found or part in whole}
    if missing := [part for part in PARTS if part not in parts]:
        what = f"{path}: has {', '.join(parts)} in several files, and no {' and no '.join(missing)}"
        raise DataError(what, "each part is one file, such as dev.tsv, or several, such as dev-00000.tsv")
    return parts


# Single files of parts beside a train part in several.
def _others(path: Path) -> Parts:
    files = [file for file in sorted(path.iterdir()) if _is_list(file)]
    return {part: file for file in files if (part := part_called(file.name.partition(".")[0])) is not None}


def _is_list(file: Path) -> bool:
    match = _ENDING.fullmatch(file.name)
    return file.is_file() and match is not None and match[1].lower() in ENDINGS and file.name[0] not in "._"


# part-2 before part-10.
def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
