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
from pathlib import Path
from typing import Any

from hardpp.data.lines import OnBad, Report, parse_entries, read_json
from hardpp.data.questions.answers import normalise_answer
from hardpp.data.questions.questions import Question, Questions
from hardpp.data.questions.region_features import RegionFeatures
from hardpp.data.undecoded import utf8
from hardpp.errors import DataError

_KINDS = ("questions", "annotations")
_WORDS = {int: "a whole number", str: "a text", list: "a list"}
_HINT = "every question has a question_id, a known image and an annotation; on_bad='skip' leaves others out"


def questions(folder: Path | str, *, on_bad: OnBad = "stop", report: Report = lambda text: None) -> Questions:
    """Read the questions and find the features of their images, which are read when asked for.

    A question or annotation is bad that is malformed, and a question without annotation or whose image has no
    features.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    parts = {part: [_file(folder, part, kind) for kind in _KINDS] for part in ("train", "val")}
    joined = {part: _joined(asked, answered, on_bad, report) for part, (asked, answered) in parts.items()}
    pictures = RegionFeatures.of_folder(folder, report)

    def with_features(_: int, question: Question) -> Question:
        if question.image not in pictures:
            about = f"question_id {question.name} is about image_id {question.image}"
            raise ValueError(f"{about}, of which there are no features")
        return question

    train, val = (
        [*parse_entries(parts[part][0], by_entry.items(), with_features, _HINT, on_bad, report).values()]
        for part, by_entry in joined.items()
    )
    dev = [question for question in val if _first_half(question.image)]
    test = [question for question in val if not _first_half(question.image)]
    for name, half in (("dev", dev), ("test", test)):
        if not half:
            raise DataError(
                f"{parts['val'][0]}: no image falls into the {name} half", "more images are needed"
            )
    return Questions(folder.resolve().name, train, dev, test, pictures)


def _first_half(image: str) -> bool:
    return zlib.crc32(utf8(image)) % 2 == 0


def _file(folder: Path, part: str, kind: str) -> Path:
    matches = sorted(path for path in folder.glob(f"*{kind}*.json") if part in path.name)
    if len(matches) != 1:
        names = ", ".join(path.name for path in matches) or "none"
        raise DataError(f"{folder}: one file *{part}*{kind}*.json is wanted, found {names}")
    return matches[0]


def _joined(path: Path, annotations: Path, on_bad: OnBad, report: Report) -> dict[int, Question]:
    answers = _answers(annotations, on_bad, report)
    entry_of: dict[int, int] = {}

    def question(place: int, row: Any) -> Question:
        number = _of(row, "question_id", int)
        text, image = _of(row, "question", str), _of(row, "image_id", int)
        if not text.strip():
            raise ValueError(f"question of question_id {number} is blank")
        if number not in answers:
            raise ValueError(f"question_id {number} has no annotation in {annotations.name}")
        if entry_of.setdefault(number, place) != place:
            raise ValueError(f"question_id {number} is there already, in entry {entry_of[number]}")
        return Question(str(number), text, str(image), answers[number])

    entries = enumerate(_rows(path, "questions"))
    return parse_entries(path, entries, question, _HINT, on_bad, report)


def _answers(path: Path, on_bad: OnBad, report: Report) -> dict[int, tuple[str, ...]]:
    def annotation(_: int, row: Any) -> tuple[int, tuple[str, ...]]:
        number, answers = _of(row, "question_id", int), _of(row, "answers", list)
        if not answers or not all(
            isinstance(answer, dict) and isinstance(answer.get("answer"), str) for answer in answers
        ):
            raise ValueError(f"question_id {number} has no list of answers")
        return number, tuple(normalise_answer(answer["answer"]) for answer in answers)

    entries = enumerate(_rows(path, "annotations"))
    return dict(parse_entries(path, entries, annotation, _HINT, on_bad, report).values())


def _rows(path: Path, key: str) -> list[Any]:
    content = read_json(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: an object with a list {key!r} is wanted")
    return rows


def _of(row: Any, key: str, kind: type) -> Any:
    if not isinstance(row, dict):
        raise ValueError(f"{row!r:.80} is no object")
    whose = "" if key == "question_id" else f" of question_id {row['question_id']}"
    if key not in row:
        raise ValueError(f"{key}{whose} is missing")
    if type(row[key]) is not kind:  # JSON's true is no number
        raise ValueError(f"{key}{whose} is {row[key]!r:.40} and not {_WORDS[kind]}")
    return row[key]
