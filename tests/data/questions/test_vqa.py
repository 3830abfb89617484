import json
import re
from pathlib import Path
from typing import Any

import pytest
import question_corpora

from hardpp.data.questions import vqa
from hardpp.errors import DataError

ASKED, ANSWERED = "v2_OpenEnded_mscoco_{}2014_questions.json", "v2_mscoco_{}2014_annotations.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return question_corpora.write_vqa(tmp_path / "vqa")


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_annotations_are_joined_by_question_id(folder: Path) -> None:
    found = vqa.questions(folder)
    assert [question.name for question in found.train[:3]] == ["1000", "1001", "1010"]
    assert found.train[0].answers == ("blue",) * 10
    assert found.train[2].answers == ("red", "red", "blue", *["red"] * 7)  # the last was "Red."
    assert found.train[3].answers[:3] == ("red", "blue", "red")
    assert found.train[2].image == "101"
    assert found.train[2].words == ["what", "color", "is", "0", "?"]


def test_dev_and_test_are_halves_of_the_validation_images(folder: Path) -> None:
    found = vqa.questions(folder)
    dev, test = ({question.image for question in part} for part in (found.dev, found.test))
    assert dev | test == {str(image) for image in range(200, 208)}
    assert dev
    assert test
    assert not dev & test


def test_byte_order_marks_are_no_matter(folder: Path) -> None:
    before = vqa.questions(folder)
    for path in folder.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert vqa.questions(folder).train == before.train


def remove_answer(content: Any) -> None:
    content["annotations"] = [row for row in content["annotations"] if row["question_id"] != 1021]


def empty_answers(content: Any) -> None:
    content["annotations"][-1]["answers"] = []


def repeat(content: Any) -> None:
    content["questions"].append(content["questions"][4])


def no_image(content: Any) -> None:
    del content["questions"][2]["image_id"]


def other_image(content: Any) -> None:
    content["questions"][2]["image_id"] = 555


def not_objects(content: Any) -> None:
    content["questions"][2] = 5


def text_for_a_number(content: Any) -> None:
    content["questions"][2]["question_id"] = "1010"


def no_number(content: Any) -> None:
    del content["annotations"][2]["question_id"]


def blank(content: Any) -> None:
    content["questions"][2]["question"] = " "


BAD = [
    (ANSWERED, remove_answer, "entry 5: question_id 1021 has no annotation in v2_mscoco_train", {"1021"}),
    (ANSWERED, empty_answers, "entry 11: question_id 1000 has no list of answers", {"1000"}),
    (ANSWERED, no_number, "entry 2: question_id is missing", {"1041"}),
    (ASKED, repeat, "entry 12: question_id 1020 is there already, in entry 4", set()),
    (ASKED, no_image, "entry 2: image_id of question_id 1010 is missing", {"1010"}),
    (ASKED, other_image, "entry 2: question_id 1010 is about image_id 555, .* no features", {"1010"}),
    (ASKED, not_objects, "entry 2: 5 is no object", {"1010"}),
    (ASKED, text_for_a_number, "entry 2: question_id is '1010' and not a whole number", {"1010"}),
    (ASKED, blank, "entry 2: question of question_id 1010 is blank", {"1010"}),
]


@pytest.mark.parametrize(("name", "change", "message", "lost"), BAD)
def test_what_does_not_fit_is_named_or_left_out(
    folder: Path, name: str, change: Any, message: str, lost: set[str]
) -> None:
    whole = vqa.questions(folder)
    edit(folder / name.format("train"), change)
    with pytest.raises(DataError, match=message) as error:
        vqa.questions(folder)
    assert "train2014" in str(error.value)
    told: list[str] = []
    found = vqa.questions(folder, on_bad="skip", report=told.append)
    assert found.train == [question for question in whole.train if question.name not in lost]
    assert (found.dev, found.test) == (whole.dev, whole.test)
    assert any(re.search(f"left out: .*train2014.*{message}", text) for text in told)


def test_nothing_is_left(folder: Path) -> None:
    edit(folder / ASKED.format("val"), lambda content: content.update(questions=[{}, 1]))
    told: list[str] = []
    with pytest.raises(DataError, match=r"val2014_questions\.json: no entry is left"):
        vqa.questions(folder, on_bad="skip", report=told.append)
    assert "entry 0: question_id is missing (and 1 more bad entry: 1)" in told[0]
    edit(folder / ASKED.format("val"), lambda content: content.update(questions=[]))
    with pytest.raises(DataError, match="an object with a list 'questions' is wanted"):
        vqa.questions(folder, on_bad="skip")


def test_files_that_are_missing_double_or_no_json(folder: Path) -> None:
    path = folder / ANSWERED.format("val")
    (folder / "old_val_annotations.json").write_text("{}")
    with pytest.raises(DataError, match=r"one file \*val\*annotations\*.json is wanted, found old_val"):
        vqa.questions(folder)
    (folder / "old_val_annotations.json").unlink()
    for content in ("{", "[" * 100_000):
        path.write_text(content)
        with pytest.raises(DataError, match="not JSON"):
            vqa.questions(folder)
    path.unlink()
    with pytest.raises(DataError, match="found none"):
        vqa.questions(folder)
    with pytest.raises(DataError, match="no such folder"):
        vqa.questions(folder / "elsewhere")
