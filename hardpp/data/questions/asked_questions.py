"""Questions that a trained run is asked, of which nobody has said the answer.

    {"questions": [{"question_id", "image_id", "question"}, ...]}    VQA's file of a part without annotations
    [{"image", "question", "question_id"?}, ...]                     objects
    IMAGE<TAB>QUESTION                                               lines; a blank one is a blank answer

An image is the image_id of features of regions, or a picture: a path from where one works or from the file,
or a name or number below the file's folder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hardpp.data.lines import BadLine, OnBad, Report, decode_line, read_json, read_lines, report_bad
from hardpp.data.questions.questions import Pictures, Question
from hardpp.errors import DataError

_HINT = (
    'lines IMAGE<TAB>QUESTION are wanted, or JSON {"questions": [{"question_id", "image_id", "question"}]}'
)
_SKIP = "leave such questions out with --on-bad skip"
_IMAGE = ("image_id", "image", "image_path", "file_name", "filename")


class AskedQuestion(NamedTuple):
    """A question without an answer, and the images that it may be about."""

    question: Question
    pictures: Pictures


def asked_questions(
    path: Path,
    pictures_of: Callable[[list[str]], Pictures],
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> list[AskedQuestion | None]:
    """Read the questions of a file; None stands for a blank line, and for one that is left out.

    Args:
        path: The file.
        pictures_of: Finds images by their names; those that cannot be read are not in what it gives.
        on_bad: "stop" at a question that is malformed or has no image, or "skip" it.
        report: Told what is left out.
    """
    bad: list[BadLine] = []
    is_json = path.suffix.lower() == ".json"
    found = list(_entries(path, bad) if is_json else _lines(path, bad))
    pictures = pictures_of(list(dict.fromkeys(question.image for _, question in found if question)))
    asked: list[AskedQuestion | None] = []
    for number, question in found:
        if question is not None and question.image not in pictures:
            bad.append(BadLine(path, number, f"there is no image {question.image!r}", entry=is_json))
            question = None
        asked.append(question and AskedQuestion(question, pictures))
    report_bad(sorted(bad), on_bad, report, _SKIP)
    return asked


def _lines(path: Path, bad: list[BadLine]) -> Iterator[tuple[int, Question | None]]:
    for number, line in enumerate(read_lines(path, "a question a line"), start=1):
        question = None
        if line.strip():
            try:
                image, tab, text = decode_line(line).partition("\t")
                if not (tab and image.strip() and text.strip()):
                    raise ValueError("IMAGE, a TAB and a question are wanted")
                question = Question(str(number), text.strip(), image.strip(), ())
            except ValueError as error:
                bad.append(BadLine(path, number, str(error)))
        yield number, question


def _entries(path: Path, bad: list[BadLine]) -> Iterator[tuple[int, Question | None]]:
    content = read_json(path)
    rows = content.get("questions") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: holds no list of questions", _HINT)
    for number, row in enumerate(rows):
        try:
            yield number, _question(number, row)
        except ValueError as error:
            bad.append(BadLine(path, number, str(error), entry=True))
            yield number, None


def _question(number: int, row: Any) -> Question:
    if not isinstance(row, dict):
        raise ValueError(f"{row!r:.80} is no object")
    image = next((row[key] for key in _IMAGE if key in row), None)
    text = row.get("question")
    if not isinstance(image, int | str) or not isinstance(text, str) or not text.strip():
        raise ValueError(f"{row!r:.80} has no image and question")
    return Question(str(row.get("question_id", number)), text, str(image), ())
