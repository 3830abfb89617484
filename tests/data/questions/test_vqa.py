import json
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


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (ANSWERED, remove_answer, "question_id 1021 has no annotation in v2_mscoco_train"),
        (ANSWERED, empty_answers, "question_id 1000 has no list of answers"),
        (ASKED, repeat, "question_id 1020 is there 2 times"),
        (ASKED, no_image, "question_id 1010 has no image_id"),
        (ASKED, other_image, "question_id 1010 is about image_id 555, of which .* has no features"),
        (ASKED, not_objects, "an object with a list 'questions' is wanted"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, name: str, change: Any, message: str) -> None:
    edit(folder / name.format("train"), change)
    with pytest.raises(DataError, match=message) as error:
        vqa.questions(folder)
    assert "train2014" in str(error.value)


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
