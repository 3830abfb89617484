"""Which files below a folder are pictures: by their endings, or by how they begin where these say nothing.

Folders that are links are gone into, each once. What systems and programs leave behind (hidden files,
`__MACOSX`, `Thumbs.db`), pipes and texts beside the pictures are passed over in silence; all else is counted.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.lines import Report

_LEFT_BEHIND = ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "__pycache__")
_TEXTS = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".html", ".pdf", ".yaml", ".yml", ".toml")
_UNREAD = (".heic", ".heif", ".svg", ".psd", ".raw", ".cr2", ".nef", ".dng")  # no pillow alone reads them
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
_SHOWN = 5  # kinds of files in one message


def is_noise(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems leave behind."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def begins_as_picture(path: Path) -> bool:
    """Whether a file begins as pictures of common kinds do."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_BEGINNINGS) or webp or head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1")


def is_picture(path: Path) -> bool:
    """Whether a file is called like a picture, or has no ending and begins as one."""
    suffix = path.suffix.lower()
    return suffix in ENDINGS or (suffix not in (*_TEXTS, *_UNREAD) and begins_as_picture(path))


def files_below(folder: Path) -> list[Path]:
    """All files below a folder but those that are noise, sorted."""
    return sorted(_walk(folder, set()))


def report_passed_over(paths: Sequence[Path], report: Report) -> None:
    """Tell how many files of which endings are passed over; texts are not worth it."""
    told = sorted((path.suffix.lower(), path) for path in paths if path.suffix.lower() not in _TEXTS)
    kinds = [(ending, [path for _, path in each]) for ending, each in groupby(told, lambda pair: pair[0])]
    kinds.sort(key=lambda kind: -len(kind[1]))
    if not kinds:
        return
    shown = [
        f"{len(of_kind)} {ending or 'without ending'}, such as {of_kind[0]}" for ending, of_kind in kinds
    ]
    more = "; ..." if len(shown) > _SHOWN else ""
    report(f"files passed over, as they are no pictures: {'; '.join(shown[:_SHOWN])}{more}")


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_noise(entry.name):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), seen)
            elif entry.is_file() or not os.path.exists(entry.path):  # broken links are named
                yield Path(entry.path)
