"""Markers: small text files in RUN/checkpoints that give a checkpoint a name, such as "best".

RUN/checkpoints/best                    a text file that holds "step-00001000"
"""

import re
from pathlib import Path

from hardpp.data.atomic_files import write_file
from hardpp.errors import CheckpointError
from hardpp.runs.checkpoint_format import read

STEP = re.compile(r"step-\d{8,}", re.ASCII)  # names of checkpoints
MARKER = re.compile(r"(?!step-)[a-z][a-z0-9_-]*", re.ASCII)  # names of markers


def mark(run: Path, name: str, folder: Path) -> None:
    """Lets `name` (for example "best") stand for a checkpoint of this run.

    Raises:
        CheckpointError: the name is not a word, or the folder is not a checkpoint of this run.
        ResourceError: the marker cannot be written; the older one is intact.
    """
    marker = marker_path(run, name)
    ours = folder.resolve().parent == marker.parent.resolve() and STEP.fullmatch(folder.name)
    if not (ours and folder.is_dir()):
        raise CheckpointError(f"{folder} cannot be marked {name!r}: it is no checkpoint of {run}")
    write_file(marker, f"{folder.name}\n".encode())


def marked(run: Path, name: str) -> Path:
    """The folder that a marker stands for.

    Raises:
        CheckpointError: there is no such marker, its text is not the name of a checkpoint, or that
            checkpoint is gone.
    """
    marker = marker_path(run, name)
    folder = read_marker(marker)
    if not folder.is_dir():
        raise CheckpointError(f"{marker} names {folder.name}, which is not there")
    return folder


def marker_path(run: Path, name: str) -> Path:
    """The file of a marker, which need not be there.

    Raises:
        CheckpointError: the name is not a word.
    """
    if not MARKER.fullmatch(name):
        raise CheckpointError(f"{name!r} cannot name a checkpoint: it must be one word, such as 'best'")
    return run / "checkpoints" / name


def read_marker(marker: Path) -> Path:
    """The folder that a marker names, which need not be there.

    Raises:
        CheckpointError: the marker cannot be read, or names no checkpoint.
    """
    text = read(marker).decode("ascii", errors="replace").strip()
    if not STEP.fullmatch(text):
        raise CheckpointError(f"{marker} does not name a checkpoint of this run: {text!r}")
    return marker.with_name(text)
