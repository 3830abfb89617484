from pathlib import Path

import pytest

from hardpp.data.images.label_lists import find_list, labels_of
from hardpp.errors import DataError

CLASSES = ("n01", "n02", "n03")


def labels(tmp_path: Path, content: str, classes: tuple[str, ...] = CLASSES, **options: object) -> list[str]:
    """The labels of two pictures, a.JPEG and b.JPEG, by a list."""
    name = "LOC_val_solution.csv" if content.startswith("ImageId") else "val.txt"
    (tmp_path / name).write_text(content)
    val = tmp_path / "val"
    pictures = [val / "a.JPEG", val / "b.JPEG"]
    found = labels_of(pictures, val, find_list(tmp_path, val), classes, **options)  # type: ignore[arg-type]
    assert list(found) == [picture for picture in pictures if picture in found]
    return list(found.values())


@pytest.mark.parametrize(
    "content",
    [
        "b.JPEG n01\na.JPEG n03\n",
        "b.JPEG\tn01\r\na.JPEG\tn03\r\n",
        "val/b.JPEG 0\n./a.JPEG  2",
        "b n01\na n03\n",
        "ImageId,PredictionString\nb,n01 1 2 3 4\na,n03 5 6 7 8 n03 1 2 3 4\n",
    ],
)
def test_names_numbers_and_solutions(tmp_path: Path, content: str) -> None:
    assert labels(tmp_path, content) == ["n03", "n01"]


def test_classes_that_are_called_by_numbers_are_named_and_not_numbered(tmp_path: Path) -> None:
    assert labels(tmp_path, "a.JPEG 10\nb.JPEG 2\n", ("10", "2", "9")) == ["10", "2"]
    with pytest.raises(DataError, match=r"val\.txt:1: a\.JPEG is of class '0', of which train has no image"):
        labels(tmp_path, "a.JPEG 0\nb.JPEG 2\n", ("10", "2", "9"))


def test_labels_and_names_with_blanks(tmp_path: Path) -> None:
    assert labels(tmp_path, "a.JPEG hot dog\nb.JPEG n01\n", ("hot dog", "n01")) == ["hot dog", "n01"]


def test_where_a_list_lies(tmp_path: Path) -> None:
    val = tmp_path / "val"
    val.mkdir()
    assert find_list(tmp_path, val) is None
    for path in (val / "LOC_val_solution.csv", val / "val.txt", tmp_path / "val.txt"):
        path.write_text("x")
        assert find_list(tmp_path, val) == path


def test_annotations_have_more_than_labels(tmp_path: Path) -> None:
    val = tmp_path / "val"
    val.mkdir()
    (val / "val_annotations.txt").write_text("b.JPEG\tn01\t0\t0\t9\t9\na.JPEG\tn03\t1\t2\t3\t4\n")
    pictures = [val / "images" / name for name in ("a.JPEG", "b.JPEG")]
    found = labels_of(pictures, val, find_list(tmp_path, val), CLASSES)
    assert list(found.values()) == ["n03", "n01"]


def test_the_list_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    labels(tmp_path, "a.JPEG 0\nb.JPEG 2\n", report=told.append)
    assert told == ["labels of the pictures in val are those of val.txt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a.JPEG n01\nb.JPEG n09\n", r"val\.txt:2: b\.JPEG is of class 'n09', of which train has no image"),
        ("a.JPEG 0\nb.JPEG 3\n", r"val\.txt:2: b\.JPEG is of class number 3, and classes are 0 to 2"),
        ("a.JPEG 0\nb.JPEG n01\n", r"val\.txt:1: a\.JPEG is of class '0', of which train has no image"),
        ("a.JPEG n01\nc.JPEG n01\n", r"val\.txt:2: there is no picture 'c\.JPEG' in .*val"),
        ("a.JPEG n01\na n02\n", r"val\.txt:2: a is listed a second time"),
        ("a.JPEG n01\nb.JPEG\n", r"val\.txt:2: a file and a label are wanted"),
        ("a.JPEG n01\n\n", r"val\.txt:2: a file and a label are wanted"),
        ("a.JPEG n01\n", r"val/b\.JPEG: val\.txt has no label for it$"),
        ("", r"val\.txt: the file is empty"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels(tmp_path, content)


def test_who_numbers_as_ilsvrc_does_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        labels(tmp_path, "a.JPEG 1\nb.JPEG 3\n")
    assert "ILSVRC" in error.value.hint


def test_bad_lines_and_pictures_without_a_line_may_be_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    assert labels(tmp_path, "c.JPEG n01\nb.JPEG n02\n", on_bad="skip", report=told.append) == ["n02"]
    assert len(told) == 3
    assert "val.txt:1: there is no picture 'c.JPEG'" in told[1]
    assert told[2].endswith("val/a.JPEG: val.txt has no label for it")
