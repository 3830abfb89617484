from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.images.layouts import LabelledPicture, classes_of, find_pictures
from hardpp.errors import DataError


def written(folder: Path, *names: str) -> Path:
    for name in names:
        write_picture(folder / name)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Like ImageNet, with the pictures to validate on in one folder."""
    train = [f"train/{name}/{name}_{number}.JPEG" for name in ("n01", "n02") for number in range(40)]
    written(tmp_path / "net", *train, *(f"val/val_{number}.JPEG" for number in range(3)))
    (tmp_path / "net" / "val.txt").write_text("val_0.JPEG 1\nval_1.JPEG 0\nval_2.JPEG 1\n")
    return tmp_path / "net"


def test_pictures_to_validate_on_may_lie_in_one_folder(folder: Path) -> None:
    told: list[str] = []
    parts = find_pictures(folder, told.append)
    val = [folder / f"val/val_{number}.JPEG" for number in range(3)]
    assert parts["dev"] == list(map(LabelledPicture, val, ("n02", "n01", "n02")))
    assert told == [
        "labels of the pictures in val are those of val.txt",
        "keeping a tenth of the images for test",
    ]
    assert len(parts["train"]) + len(parts["test"]) == 80
    assert 1 <= len(parts["test"]) <= 20
    assert classes_of(parts, folder) == ("n01", "n02")


def test_a_flat_part_needs_a_list_but_pictures_to_test_on_are_passed_over(folder: Path) -> None:
    written(folder, "test/test_0.JPEG")
    told: list[str] = []
    assert folder / "test/test_0.JPEG" not in [picture.path for picture in find_pictures(folder)["test"]]
    find_pictures(folder, told.append)
    assert f"{folder / 'test'}: pictures passed over, as they have no labels: 1" in told
    (folder / "test.txt").write_text("test_0.JPEG n01\n")
    assert find_pictures(folder)["test"] == [LabelledPicture(folder / "test/test_0.JPEG", "n01")]
    (folder / "val.txt").unlink()
    with pytest.raises(
        DataError, match="net/val: its pictures are in no folders of classes, and there is no"
    ):
        find_pictures(folder)


def test_what_is_passed_over_is_counted_by_kind_and_noise_is_not(folder: Path) -> None:
    written(folder, "train/n01/.hidden.png", "train/stray.png", "train/.git/x.png", "__MACOSX/train/x.png")
    for name in ("n02/b.heic", "n02/c.heic", "n02/Thumbs.db", "n02/.DS_Store", "../val/README"):
        name = f"train/{name}"
        (folder / name).write_bytes(b"x")
    (folder / "train/n02/notes.txt").write_text("x")
    told: list[str] = []
    parts = find_pictures(folder, told.append)
    assert told[1:3] == [
        f"pictures passed over, as they are in no folder of a class: 1, such as {folder / 'train/stray.png'}",
        f"files passed over, as they are no pictures: 2 .heic, such as {folder / 'train/n02/b.heic'}; "
        f"1 without ending, such as {folder / 'val/README'}",
    ]
    assert sum(map(len, parts.values())) == 83


def test_pictures_behind_links_and_without_endings_count(folder: Path, tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", "a.png", "b.png")
    (tmp_path / "elsewhere" / "b.png").rename(tmp_path / "elsewhere" / "b")
    (folder / "train" / "n01" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "train" / "n01" / "again").symlink_to(folder / "train" / "n01")  # a circle
    parts = find_pictures(folder)
    assert sum(map(len, parts.values())) == 85


def test_a_class_may_be_missing_from_a_part_but_not_from_train(tmp_path: Path) -> None:
    names = [f"{part}/{name}/x.png" for part in ("train", "val", "test") for name in "abc"]
    folder = written(tmp_path, *names)
    (folder / "val/b/x.png").unlink()
    (folder / "val/c/x.png").unlink()
    told: list[str] = []
    parts = find_pictures(folder, told.append)
    assert classes_of(parts, folder, told.append) == ("a", "b", "c")
    assert told == ["dev has no image of 2 of the 3 classes: b, c"]
    written(folder, "val/d/x.png")
    with pytest.raises(DataError, match=r"val/d/x\.png: is of class 'd', of which train has no image"):
        classes_of(find_pictures(folder), folder)


@pytest.mark.parametrize(
    "names",
    [("Train", "Val", "Test"), ("training_set", "validation", "test_set"), ("TRAIN", "dev-set", "test14")],
)
def test_parts_are_called_in_many_ways(tmp_path: Path, names: tuple[str, str, str]) -> None:
    written(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in "ab"))
    parts = find_pictures(tmp_path)
    assert {part: {picture.path.parts[-3] for picture in of_part} for part, of_part in parts.items()} == dict(
        zip(("train", "dev", "test"), ({name} for name in names), strict=True)
    )
    assert classes_of(parts, tmp_path) == ("a", "b")


def test_classes_may_be_called_like_parts(tmp_path: Path) -> None:
    for names in ("bus car train", "valid invalid"):
        folder = tmp_path / names.replace(" ", "-")
        written(folder, *(f"{name}/{number}.png" for name in names.split() for number in range(9)))
        assert classes_of(find_pictures(folder), folder) == tuple(sorted(names.split()))


def test_all_may_lie_in_one_folder_more(tmp_path: Path) -> None:
    written(tmp_path, *(f"archive/pets/Train/{name}/{number}.png" for name in "ab" for number in range(9)))
    (tmp_path / "__MACOSX" / "archive").mkdir(parents=True)
    (tmp_path / "README.md").write_text("x")
    told: list[str] = []
    assert classes_of(find_pictures(tmp_path, told.append), tmp_path) == ("a", "b")
    assert told[0] == f"all lies in {tmp_path / 'archive/pets'}"


def test_folders_of_no_part_are_told(tmp_path: Path) -> None:
    written(
        tmp_path,
        *(f"{name}/{label}/{n}.png" for name in ("train", "more") for label in "ab" for n in range(9)),
    )
    told: list[str] = []
    find_pictures(tmp_path, told.append)
    assert told[0] == "folders passed over, as they are called by no part: more"


def test_classes_of_a_part_that_train_has_not_are_all_named(tmp_path: Path) -> None:
    written(tmp_path, *(f"train/{label}/{n}.png" for label in ("cat", "dog") for n in range(9)))
    written(tmp_path, "test/Cat/1.png", "test/cow/1.png", "val/cat/1.png")
    with pytest.raises(DataError, match=r"Cat/1\.png: is of class 'Cat', .* \(nor of 'cow'\)") as error:
        classes_of(find_pictures(tmp_path), tmp_path)
    assert error.value.hint == "it has 'cat'"
