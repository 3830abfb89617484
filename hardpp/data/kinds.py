"""What a user's file or folder seems to hold, so that the wrong kind is refused at once.

It is told by names, and of files beside pictures by what they begin with. Only what is plain is told: of
anything else the reader has the say.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hardpp.data.captions.found_captions import holds_captions
from hardpp.data.images.layouts import has_classes
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.speech.headed_tables import columns_of

# A kind -> in words; those that tell more come first.
KINDS = {
    "questions": "questions about images",
    "captions": "captioned pictures",
    "speech": "recordings",
    "parallel": "parallel text",
    "lists": "TSV lists",
    "tables": "CSV tables",
    "images": "pictures",
}
_SOUNDS = (".wav", ".flac", ".sph", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf")
_MOST = 300  # files that are looked at
_MOST_BYTES = 10_000  # of a first line
_PARTS = ("train", "dev", "valid", "val", "test")
_NOT = {
    "csv",
    "tsv",
    "txt",
    "npz",
    "png",
    "jpg",
    "gif",
    "bmp",
    "wav",
    "xml",
    "zip",
    "gz",
    "ctm",
    "lab",
    "phn",
}  # languages


def kinds_of(path: Path) -> list[str]:
    """What a file or folder may be, of `KINDS`; nothing where that is not plain."""
    if path.is_file():
        found = _of_file(path.name.lower())
    else:
        found = {kind for name in islice(_files(path), _MOST) for kind in _of_file(name) | _of_part(name)}
        if "images" in found and "questions" not in found and holds_captions(path):
            found |= {"captions"}
        if "images" in found and found & {"questions", "captions"} and not has_classes(path):
            found -= {"images"}
    return [kind for kind in KINDS if kind in found]


def field_separator(path: Path) -> str:
    """What is between the fields of a file that is called .csv: "commas", "semicolons" or "TABs".

    It is blank of other files.
    """
    if not (path.is_file() and path.suffix.lower() == ".csv"):
        return ""
    first = _first_line(path)
    if first is None or b"|" in first:
        return ""
    if b"\t" in first:
        return "TABs"
    return "semicolons" if b";" in first and b"," not in first else "commas"


def names_recordings(path: Path) -> bool:
    """Does the first line of a file name columns of sounds and of what is said in them?"""
    first = _first_line(path) if path.is_file() else None
    return first is not None and columns_of(first.decode("utf-8-sig", "replace")) is not None


# None where it cannot be read, which its reader says.
def _first_line(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.readline(_MOST_BYTES)
    except OSError:
        return None


def _files(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from (name.lower() for name in names)


def _of_file(name: str) -> set[str]:
    if name.endswith(".tsv"):
        return {"lists"}
    if name.endswith(_SOUNDS):
        return {"speech"}
    if "questions" in name and name.endswith(".json"):
        return {"questions"}
    if name.endswith((".token.txt", "captions.txt")) or (
        name.startswith("dataset") and name.endswith(".json")
    ):
        return {"captions"}
    if name.endswith(tuple(ENDINGS)) or "ubyte" in name:
        return {"images"}
    return set()


# Of a file train.de, or train.tags.de-en.de.
def _of_part(name: str) -> set[str]:
    part, _, ending = name.partition(".")
    languages = ending.rpartition(".")[2]
    return {"parallel"} if part in _PARTS and 2 <= len(languages) <= 3 and languages not in _NOT else set()
