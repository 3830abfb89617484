from pathlib import Path

import numpy as np
import pytest
import question_corpora
import torch
from PIL import Image

from hardpp.data.questions import easy_vqa, vqa
from hardpp.data.questions.batches import Asked, collate, group_by_image, word_vocabulary
from hardpp.data.questions.questions import Question, Questions
from hardpp.errors import DataError


def numbers_of(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, start=2)}


def cells(height: int, width: int) -> int:
    return (height // 8) * (width // 8)


@pytest.fixture
def easy(tmp_path: Path) -> Questions:
    return easy_vqa.questions(question_corpora.write_easy(tmp_path / "easy"))


@pytest.fixture
def regions(tmp_path: Path) -> Questions:
    return vqa.questions(question_corpora.write_vqa(tmp_path / "vqa"))


def test_an_image_is_there_once_with_all_its_questions(easy: Questions) -> None:
    asked = [easy.train[place] for place in (0, 2, 1, 3, 4)]
    rows = group_by_image(asked)
    assert rows == [
        Asked(asked[0].image, [0, 2]),
        Asked(asked[1].image, [1, 3]),
        Asked(asked[4].image, [4]),
    ]
    words = word_vocabulary(easy.train)
    labels = [1, 0, None, 2, 3]
    batch = collate(rows, asked, labels, easy.pictures, numbers_of(words), cells)
    assert batch.size == 3
    assert batch.target.tolist() == [[1, 0], [0, 2], [3, 0]]
    assert batch.target_mask.tolist() == [[True, False], [True, True], [True, False]]
    assert int(batch.symbols) == 4
    assert batch.source.shape == (3, 3, 32, 32)
    assert batch.source_mask.shape == (3, 16)
    np.testing.assert_array_equal(batch.source[1].numpy(), easy.pictures.read(asked[1].image))
    spelt = ["", "<unk>", *words]
    for row, one in enumerate(rows):
        for column, place in enumerate(one.questions):
            numbers = batch.question[row, column][batch.question_mask[row, column]].tolist()
            assert [spelt[number] for number in numbers] == asked[place].words
    assert not batch.question_mask[2, 1].any()


def test_words_that_training_had_not(easy: Questions) -> None:
    strange = Question("s", "what colossus?", easy.train[0].image, ("red",))
    words = numbers_of(word_vocabulary(easy.train))
    batch = collate(group_by_image([strange]), [strange], [0], easy.pictures, words, cells)
    assert batch.question[0, 0].tolist() == [words["what"], 1, words["?"]]


def test_regions_are_padded_and_masked(regions: Questions) -> None:
    asked = regions.train[:4]  # of images 100 and 101, with 2 and 3 regions
    batch = collate(group_by_image(asked), asked, [0] * 4, regions.pictures, {}, cells)
    assert batch.source.shape == (2, 3, 3)
    assert batch.source.dtype == torch.float32
    assert batch.source_mask.tolist() == [[True, True, False], [True, True, True]]
    for row, (image, count) in enumerate((("100", 2), ("101", 3))):
        np.testing.assert_array_equal(batch.source[row, :count].numpy(), regions.pictures.read(image))
    assert (batch.source[0, 2] == 0).all()


def test_images_of_two_sizes_are_refused(easy: Questions, tmp_path: Path) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "easy" / "train" / "images" / "1.png")
    asked = [question for question in easy.train if question.image in ("train/0", "train/1")]
    with pytest.raises(DataError, match="image train/0 has 32 x 32 pixels and image train/1 24 x 32"):
        collate(group_by_image(asked), asked, [0] * 4, easy.pictures, {}, cells)


def test_no_images_make_no_batch(easy: Questions) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        collate([], [], [], easy.pictures, {}, cells)
