"""VQA v2 as people have it on disk: the published JSON files, and features of regions found beforehand.

    FOLDER/*train*questions*.json    {"questions": [{"question_id", "image_id", "question"}, ...]}
    FOLDER/*train*annotations*.json  {"annotations": [{"question_id", "answers": [{"answer"}, ...]}, ...]}
    FOLDER/*val*questions*.json, FOLDER/*val*annotations*.json   the same
    FOLDER/*.tsv, FOLDER/*.npz       see `hardpp.data.questions.region_features`

Questions and annotations are joined on question_id, in whatever order they come. Train is the published
one; the validation images are cut in two by checksum, half for dev and half for test, since the
published test part has no answers (Deng et al. 2018 do the same).

Source: Goyal et al. (2017), Making the V in VQA Matter.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardpp.data import json_files
from hardpp.data.questions.answers import normalised
from hardpp.data.questions.questions import Question, Questions
from hardpp.data.questions.region_features import RegionFeatures
from hardpp.errors import DataError

_KINDS = ("questions", "annotations")


def questions(folder: Path | str, report: Callable[[str], None] = lambda text: None) -> Questions:
    """Reads the questions and finds the features of their images, which are read when asked for.

    Args:
        folder: laid out as above.
        report: told in a few words what is going on.

    Raises:
        DataError: a file is missing, or not as described, a question has no annotation, or its image no
            features; the message names the file and the question_id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    parts = {part: [_file(folder, part, kind) for kind in _KINDS] for part in ("train", "val")}
    joined = {part: _joined(*files) for part, files in parts.items()}
    pictures = RegionFeatures.of_folder(folder, report)
    for part, found in joined.items():
        for question in found:
            if question.image not in pictures:
                raise DataError(
                    f"{parts[part][0]}: question_id {question.name} is about image_id {question.image}, "
                    f"of which {folder} has no features"
                )
    dev = [question for question in joined["val"] if _first_half(question.image)]
    test = [question for question in joined["val"] if not _first_half(question.image)]
    for name, half in (("dev", dev), ("test", test)):
        if not half:
            raise DataError(
                f"{parts['val'][0]}: no image falls into the {name} half", "more images are needed"
            )
    return Questions(folder.resolve().name, joined["train"], dev, test, pictures)


def _first_half(image: str) -> bool:
    return zlib.crc32(image.encode()) % 2 == 0


def _file(folder: Path, part: str, kind: str) -> Path:
    found = sorted(path for path in folder.glob(f"*{kind}*.json") if part in path.name)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: one file *{part}*{kind}*.json is wanted, found {names}")
    return found[0]


def _joined(asked: Path, answered: Path) -> list[Question]:
    answers: dict[int, tuple[str, ...]] = {}
    for row in _rows(answered, "annotations"):
        number = _of(row, "question_id", int, answered)
        given = _of(row, "answers", list, answered)
        if not given or not all(
            isinstance(one, dict) and isinstance(one.get("answer"), str) for one in given
        ):
            raise DataError(f"{answered}: question_id {number} has no list of answers")
        answers[number] = tuple(normalised(one["answer"]) for one in given)
    rows = _rows(asked, "questions")
    numbers = Counter(_of(row, "question_id", int, asked) for row in rows)
    number, times = numbers.most_common(1)[0]
    if times > 1:
        raise DataError(f"{asked}: question_id {number} is there {times} times")
    lacking = [number for number in numbers if number not in answers]
    if lacking:
        more = f" (nor have {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise DataError(f"{asked}: question_id {lacking[0]} has no annotation in {answered.name}{more}")
    return [
        Question(
            str(row["question_id"]),
            _of(row, "question", str, asked),
            str(_of(row, "image_id", int, asked)),
            answers[row["question_id"]],
        )
        for row in rows
    ]


def _rows(path: Path, key: str) -> list[dict[str, Any]]:
    content = json_files.read(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: an object with a list {key!r} is wanted")
    return rows


def _of(row: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    value = row.get(key)
    if not isinstance(value, kind):
        named = f"question_id {row['question_id']}" if "question_id" in row else f"entry {row!r:.80}"
        raise DataError(f"{path}: {named} has no {key}")
    return value
