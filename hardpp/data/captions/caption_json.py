"""Captions in JSON files: Karpathy's, COCO's, and lists of objects.

{"images": [{"filename", "filepath"?, "split", "sentences": [{"raw"} or {"tokens"}]}]}      Karpathy's
{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}                 COCO's
[{"image": "val2014/1.jpg", "caption": "..." or ["...", ...]}, ...]                         a list
{"data": [{"image_id": "1", "caption_str": "..."}, ...]}                                    TextCaps
{"1.jpg": "..." or ["...", ...], ...}                                                       pictures by name
{"file_name": "1.jpg", "text": "..."}                                                       an object a line
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.json_values import json_value
from hardpp.data.lines import BadLine, OnBad, Report, read_json, read_text, report_bad
from hardpp.errors import DataError

# What pictures and captions are called, in headings of tables, too.
IMAGE = (
    "image",
    "image_name",
    "image_path",
    "img",
    "file",
    "file_name",
    "filename",
    "filepath",
    "name",
    "image_id",
)
CAPTION = ("caption", "captions", "comment", "text", "description", "sentence", "caption_str")

_SPLITS = {"train": "train", "restval": "train", "val": "dev", "dev": "dev", "test": "test"}
_FIRST = 2**16  # bytes that tell what a file is
_HINT = "leave such entries out with --on-bad skip"
_ENDINGS = "|".join(ending.removeprefix(".") for ending in ENDINGS)
_BY_NAME = re.compile(rf'\{{\s*"[^"\n]+\.(?:{_ENDINGS})"\s*:\s*["\[]', re.IGNORECASE)


class Listed(NamedTuple):
    """One caption of a file."""

    image: str  # the name of the picture
    text: str  # as it stands in the file; blank where a picture is listed without a caption
    place: str  # for messages
    part: str | None = None  # train, dev or test, where the file says so


def is_caption_json(path: Path) -> bool:
    """Whether a JSON file holds captions, by its first entries and its keys."""
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST).decode("utf-8-sig", "replace").lstrip()
    except OSError:
        return False
    if first.startswith("{") and '"images"' in first:
        return '"sentences"' in first or _has_captions(path)
    if _BY_NAME.match(first):
        return True
    words = [f'"{name}"' for name in (*IMAGE, *CAPTION) if f'"{name}"' in first]
    found = {word.strip('"') for word in words}
    return bool(found & {*IMAGE}) and bool(found & {*CAPTION}) and '"question"' not in first


def read_caption_json(path: Path, on_bad: OnBad, report: Report) -> list[Listed]:
    """Read the captions of a file in its order, as `read_caption_file` does of any file."""
    bad: list[BadLine] = []
    if path.suffix.lower() == ".jsonl":
        found = list(_objects(path, _lines(path), bad, lines=True))
    else:
        content = read_json(path)
        if isinstance(content, list):
            found = list(_objects(path, list(enumerate(content)), bad))
        elif isinstance(content, dict) and isinstance(content.get("annotations"), list):
            found = list(_coco(path, content, bad))
        elif isinstance(content, dict) and (rows := _data(content)):
            found = list(_objects(path, list(enumerate(rows)), bad))
        else:
            found = list(_karpathy(path, content))
    report_bad(bad, on_bad, report, _HINT)
    return found


# The objects of TextCaps, or of pictures by their names; none of another file.
def _data(content: dict[str, Any]) -> list[Any]:
    if isinstance(rows := content.get("data"), list):
        return rows
    by_name = all(Path(name).suffix.lower() in ENDINGS for name in content)
    return [{"image": name, "caption": said} for name, said in content.items()] if by_name else []


# Whether COCO's file, in which images come first, has captions and not boxes or keypoints.
def _has_captions(path: Path) -> bool:
    try:
        content = read_json(path)
    except DataError:  # it is read again, and refused
        return b'"caption"' in path.read_bytes() or path.name.startswith("dataset")
    rows = content.get("annotations") if isinstance(content, dict) else None
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "caption" in rows[0]


def _karpathy(path: Path, content: Any) -> Iterator[Listed]:
    try:
        for number, image in enumerate(content["images"]):
            folder = image.get("filepath", "")
            name = f"{folder}/{image['filename']}" if folder else image["filename"]
            texts = [
                each["raw"] if "raw" in each else " ".join(each["tokens"]) for each in image["sentences"]
            ]
            place, part = f"{path}: picture {name}", _SPLITS[image["split"]]
            yield from (Listed(name, text, place, part) for text in texts)
            if not texts:
                yield Listed(name, "", f"{path}: entry {number}", part)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not captions in this form ({error!r})") from error


def _coco(path: Path, content: Any, bad: list[BadLine]) -> Iterator[Listed]:
    try:
        name_of = {image["id"]: str(image["file_name"]) for image in content["images"]}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: images with id and file_name are wanted ({error!r})") from error
    for number, row in enumerate(content["annotations"]):
        try:
            image, text = row["image_id"], row["caption"]
            yield Listed(name_of[image], str(text), f"{path}: entry {number}")
        except KeyError as error:
            bad.append(BadLine(path, number, f"{error} is missing", entry=True))
        except TypeError:
            bad.append(BadLine(path, number, f"{row!r:.80} is no annotation", entry=True))


def _objects(
    path: Path, rows: list[tuple[int, Any]], bad: list[BadLine], *, lines: bool = False
) -> Iterator[Listed]:
    for number, row in rows:
        keys = [key for key in IMAGE if isinstance(row, dict) and isinstance(row.get(key), str | int)]
        texts = [row[key] for key in CAPTION if isinstance(row, dict) and key in row]
        several = texts[0] if texts and isinstance(texts[0], list) else texts[:1]
        if not keys or not all(isinstance(text, str) for text in several):
            bad.append(BadLine(path, number, f"{row!r:.80} has no picture and caption", entry=not lines))
            continue
        place = f"{path}:{number}" if lines else f"{path}: entry {number}"
        for text in several or [""]:
            yield Listed(str(row[keys[0]]), text, place, _SPLITS.get(str(row.get("split", ""))))


def _lines(path: Path) -> list[tuple[int, Any]]:
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, json_value(line)))
            except ValueError as error:
                raise DataError(f"{path}:{number}: not JSON ({error})") from error
    return rows
