"""A user's own recordings in any of the forms that are read, found out by what is in the files.

Folders and files whose names begin with train, dev (or val), test are parts; what has none is one list, of
which the CRC-32 of names makes parts for training.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hardpp.data.parts import PARTS, part_of, split_by_checksum
from hardpp.data.speech.audio import is_sound
from hardpp.data.speech.kaldi import is_kaldi, read_kaldi
from hardpp.data.speech.list_forms import ListForm, form_of
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.spoken import Reading
from hardpp.data.speech.stem_folders import has_stems, read_stems
from hardpp.data.speech.transcripts import is_plain_list, read_list
from hardpp.errors import DataError

Parts = dict[str, list[Recording]]

_NAMES = {"train": "train", "dev": "dev", "val": "dev", "test": "test", "eval": "test"}  # beginnings
_LISTS = ("*.trans.txt", "metadata.csv", "validated.tsv", "*.jsonl", "*.json", "*.ctm", "*.csv")
_EXACT = {"train", "training", "dev", "val", "valid", "validation", "test", "testing", "eval"}
_ENDINGS = (".tsv", ".txt", ".json", ".jsonl", ".csv", ".ctm")  # of lists


def find(path: Path, reading: Reading) -> Parts | list[Recording] | None:
    """The recordings at a path: parts where they have names of parts, else a list; None where there are none.

    It is told what they were taken for.
    """
    if path.is_file():
        return _read_file(path, reading)
    if not path.is_dir():
        return None
    if (alone := _read_folder(path)) is not None:
        name, read = alone
        return _told(path, name, read(reading), reading)
    if named := _entries(path):
        parts: Parts = {}
        for entry, part in named.items():
            found = find(entry, reading)
            if found is not None:
                items = [_called(recording, entry) for recording in _flat(found)]
                parts.setdefault(part, []).extend(items)
        return _apart(path, parts, reading) if parts else None
    if has_stems(path):
        return _told(path, "sounds with labels or text beside them", read_stems(path, reading), reading)
    below = [entry for entry in sorted(path.iterdir()) if entry.is_dir()]
    return find(below[0], reading) if len(below) == 1 else None


def split(found: Parts | list[Recording], path: Path) -> Parts:
    """The three parts of what was found; of one list by the CRC-32 of names."""
    if isinstance(found, dict) and set(found) == set(PARTS):
        return found
    items = _flat(found)
    hint = "bring folders or lists named train, dev and test to choose the parts yourself"
    return split_by_checksum(items, lambda item: item.name, path, "recording", "name", hint)


def whole(found: Parts | list[Recording]) -> list[Recording]:
    """All that was found, as one list."""
    return _flat(found)


def _flat(found: Parts | list[Recording]) -> list[Recording]:
    if isinstance(found, list):
        return found
    return [recording for part in PARTS for recording in found.get(part, [])]


def _read_file(path: Path, reading: Reading) -> list[Recording] | None:
    if is_sound(path):
        raise DataError(
            f"{path}: a sound, of which nothing is said",
            "a list of SOUND, TAB, tokens says it; hardpp decode RUN --input takes sounds alone",
        )
    form = form_of(path)
    if form is not None:
        return _told(path, form.name, form.read(path, reading), reading)
    if is_plain_list(path):
        found = read_list(path, reading.on_bad, reading.report, reading)
        return _told(path, "a list of SOUND, TAB, tokens", found, reading)
    return None


def _read_folder(path: Path) -> tuple[str, Callable[[Reading], list[Recording]]] | None:
    if is_kaldi(path):
        return "a data folder of Kaldi", partial(read_kaldi, path)
    if _entries(path):
        return None
    for pattern in _LISTS:
        files = sorted(path.rglob(pattern) if pattern == "*.trans.txt" else path.glob(pattern))
        if lists := [(file, form) for file in files if (form := form_of(file)) is not None]:
            return lists[0][1].name, partial(_read_lists, lists)
    return None


def _read_lists(lists: list[tuple[Path, ListForm]], reading: Reading) -> list[Recording]:
    return [recording for file, form in lists for recording in form.read(file, reading)]


# Files and folders of parts, by the beginnings of their names; those without recordings may be among them.
def _entries(path: Path) -> dict[Path, str]:
    found, exact = {}, set()
    for entry in sorted(path.iterdir()):
        name = entry.name.lower()
        part = next((part for begin, part in _NAMES.items() if name.startswith(begin)), None)
        if part is not None and (entry.is_dir() or (entry.is_file() and entry.suffix.lower() in _ENDINGS)):
            found[entry] = part
            exact |= {part} if name.partition(".")[0] in _EXACT else set()
    # Beside train.tsv a list train-small.tsv is no more of the train part.
    return {
        entry: part
        for entry, part in found.items()
        if part not in exact or entry.name.lower().partition(".")[0] in _EXACT
    }


# Sounds in folders of parts are called by the part, too, since names are unique in a corpus.
def _called(recording: Recording, entry: Path) -> Recording:
    of_folder = entry.is_dir() and recording.place is not None and not recording.place.number
    return recording._replace(name=f"{entry.name}/{recording.name}") if of_folder else recording


# A missing dev or test part is taken from the train part, if that is there.
def _apart(path: Path, parts: Parts, reading: Reading) -> Parts | list[Recording]:
    lacking = [part for part in PARTS if not parts.get(part)]
    if not lacking:
        _check_apart(path, parts)
        return parts
    if "train" in lacking or len(lacking) == 2:
        return _flat(parts)
    (part,) = lacking
    taken = [item for item in parts["train"] if part_of(item.name) == part]
    names = {item.name for item in taken}
    rest = [item for item in parts["train"] if item.name not in names]
    if not taken or not rest:
        raise DataError(f"{path}: has no {part} part, and too few recordings of train to take some for it")
    reading.report(f"{path}: has no {part} part: {len(taken)} recordings of train are taken for it")
    return {**parts, "train": rest, part: taken}


def _check_apart(path: Path, parts: Parts) -> None:
    parts_of: dict[str, str] = {}
    for part, of_part in parts.items():
        for recording in of_part:
            sound: Any = recording.sound  # a file or a part of one
            key = f"{sound.path.resolve()} {sound[1:]}"
            if (other := parts_of.setdefault(key, part)) != part:
                raise DataError(f"{path}: {recording.name} is in {other} and in {part}")


def _told(path: Path, name: str, found: list[Recording], reading: Reading) -> list[Recording]:
    timed = sum(1 for recording in found if recording.segments)
    times = f", times known of {timed}" if timed else ""
    examples = "; ".join(" ".join(recording.tokens[:6]) for recording in found[:3])
    reading.report(f"{path}: read as {name}, {len(found)} recordings{times}; tokens: {examples}")
    return found
