import json
from pathlib import Path

import numpy as np
import pytest
import question_corpora
from PIL import Image

from hardpp.data.fetch.sources import cache_folder
from hardpp.data.questions import easy_vqa
from hardpp.data.questions.easy_vqa import Shapes
from hardpp.errors import DataError

FETCHED = cache_folder() / "easy-vqa-1.0"  # of the user, before the tests have a cache of their own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return question_corpora.write_easy(tmp_path / "easy")


def test_parts_share_no_image_and_dev_is_the_last_tenth_of_train(folder: Path) -> None:
    found = easy_vqa.questions(folder)
    images = [{question.image for question in part} for part in (found.train, found.dev, found.test)]
    assert images == [
        {f"train/{n}" for n in range(18)},
        {"train/18", "train/19"},
        {f"test/{n}" for n in range(4)},
    ]
    assert sum(map(len, (found.train, found.dev, found.test))) == 48
    assert found.train[0].answers in {("yes",), ("no",)}


def test_the_data_may_lie_as_the_package_has_them(folder: Path, tmp_path: Path) -> None:
    inner = tmp_path / "fetched" / easy_vqa.MEMBER
    inner.parent.mkdir(parents=True)
    folder.rename(inner)
    assert len(easy_vqa.questions(tmp_path / "fetched").test) == 8


def test_the_gold_region_is_the_shape_s_box(folder: Path) -> None:
    pictures = easy_vqa.questions(folder).pictures
    assert pictures.gold("train/0") == (0.0, 0.0, 10.0, 10.0)
    assert pictures.gold("train/5") == (20.0, 11.0, 30.0, 21.0)
    assert pictures.read("train/5").shape == (3, 32, 32)
    assert pictures.read("train/5").dtype == np.uint8


def test_the_background_is_the_border_s_colour_even_of_a_large_shape(tmp_path: Path) -> None:
    pixels = np.full((20, 20, 3), 250, np.uint8)
    pixels[1:20, 2:18] = (0, 128, 128)  # most of the image, and a part of its border
    (tmp_path / "train" / "images").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "train" / "images" / "0.png")
    Image.fromarray(np.full((20, 20, 3), 9, np.uint8)).save(tmp_path / "train" / "images" / "1.png")
    pictures = Shapes(tmp_path)
    assert pictures.gold("train/0") == (2.0, 1.0, 18.0, 20.0)
    assert pictures.gold("train/1") is None


def test_the_fingerprint_sees_questions_and_images(folder: Path) -> None:
    before = easy_vqa.questions(folder).fingerprint()
    assert easy_vqa.questions(folder).fingerprint() == before
    found = easy_vqa.questions(folder)
    assert found._replace(train=found.train[1:]).fingerprint() != before
    path = folder / "train" / "images" / "3.png"
    path.write_bytes(path.read_bytes()[:-1] + b" ")  # of the same size
    assert easy_vqa.questions(folder).fingerprint() != before


def test_a_byte_order_mark_is_no_matter_and_depth_is_no_json(folder: Path) -> None:
    before = easy_vqa.questions(folder)
    path = folder / "train" / "questions.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert easy_vqa.questions(folder).train == before.train
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="not JSON"):
        easy_vqa.questions(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[1, 2", "not JSON"),
        ("{}", "a list of"),
        ("[]", "a list of"),
        ('[["what?", "yes"]]', "entry 0: .* is not"),
        ('[["what?", "yes", 1], ["what?", "yes", "1"]]', "entry 1: .* is not"),
        ('[["what?", "yes", true]]', "entry 0: .* is not"),
        ('[[" ", "yes", 1]]', "entry 0: .* is not"),
        ('[["what?", "yes", 99]]', "entry 0: it is about image test/99, which is missing"),
    ],
)
def test_bad_questions_are_refused(folder: Path, content: str, message: str) -> None:
    path = folder / "test" / "questions.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        easy_vqa.questions(folder)
    assert str(path) in str(error.value)


def test_bad_questions_are_left_out_if_asked(folder: Path) -> None:
    path, told = folder / "test" / "questions.json", list[str]()
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([5, *rows, ["what?", "yes", 99]]))
    found = easy_vqa.questions(folder, on_bad="skip", report=told.append)
    assert [question.text for question in found.test] == [text for text, _, _ in rows]
    assert found.test[0].name == "test/1"
    (text,) = told
    assert text.startswith(
        f"left out: {path}: entry 0: 5 is not [question, answer, image number] (and 1 more"
    )
    path.write_text("[5]")
    with pytest.raises(DataError, match="no entry is left"):
        easy_vqa.questions(folder, on_bad="skip")


def test_missing_files_and_damaged_images_are_named(folder: Path) -> None:
    found = easy_vqa.questions(folder)
    path = folder / "train" / "images" / "3.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"3\.png: not a readable picture"):
        found.pictures.read("train/3")
    path.unlink()
    with pytest.raises(DataError, match=r"3\.png: there is no such picture"):
        found.pictures.read("train/3")
    (folder / "train" / "questions.json").unlink()
    with pytest.raises(DataError, match=r"questions\.json: cannot be read"):
        easy_vqa.questions(folder)


def test_one_training_image_is_too_few(folder: Path) -> None:
    (folder / "train" / "questions.json").write_text(json.dumps([["what?", "yes", 1]]))
    with pytest.raises(DataError, match="2 training images"):
        easy_vqa.questions(folder)


@pytest.mark.skipif(not FETCHED.is_dir(), reason="needs the data fetched")
def test_the_published_data() -> None:
    found = easy_vqa.questions(FETCHED)
    assert [len(part) for part in (found.train, found.dev, found.test)] == [34687, 3888, 9673]
    assert len({question.answers for question in found.train}) == 13
    texts: dict[str, set[str]] = {}
    for question in found.train:
        texts.setdefault(question.text, set()).add(question.answers[0])
    assert min(map(len, texts.values())) > 1  # nothing is answered by the question alone
    left, top, right, bottom = found.pictures.gold("test/0") or (0, 0, 0, 0)
    assert 9 <= right - left <= 64
    assert 9 <= bottom - top <= 64
