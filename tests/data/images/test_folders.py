from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.images import folders
from hardpp.errors import DataError

COLOURS = {"cat": (200, 0, 0), "dog": (0, 0, 200)}


def write(folder: Path, parts: tuple[str, ...] = ("train", "val", "test"), count: int = 30) -> Path:
    """Red cats and blue dogs; the green of a picture is its number."""
    for part in parts:
        for name, (red, _, blue) in COLOURS.items():
            for number in range(count):
                write_picture(folder / part / name / f"{number}.png", (red, number, blue))
    return folder


@pytest.mark.parametrize("dev", ["dev", "val", "valid", "validation"])
def test_parts_and_classes_are_the_folders(tmp_path: Path, dev: str) -> None:
    folder = write(tmp_path / "pets", ("train", dev, "test"), count=3)
    found = folders.labelled_images(folder)
    assert found.name == "pets"
    assert found.classes == ("cat", "dog")
    for part in (found.train, found.dev, found.test):
        assert (len(part), part.size) == (6, (3, 5, 6))
        assert part.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert part.names == [path.relative_to(folder).as_posix() for path in sorted(paths(part))]
        assert part.read().boxes is None
        assert part.read([4, 0]).pixels[:, :, 0, 0].tolist() == [[0, 1, 200], [200, 0, 0]]
        assert part.read(epoch=3).pixels[:, 1, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]


def paths(part: object) -> set[Path]:
    assert isinstance(part, folders.Pictures)
    return {part.files.paths[place] for place in part.places.tolist()}


@pytest.mark.parametrize("parts", [("",), ("train",), ("train", "test"), ("train", "val")])
def test_what_is_lacking_is_a_tenth_of_train_and_no_image_is_in_two_parts(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    folder = write(tmp_path / "pets", parts, count=60)
    told: list[str] = []
    found = folders.labelled_images(folder, told.append)
    files = [paths(part) for part in (found.train, found.dev, found.test)]
    assert sum(map(len, files)) == 120 * len(parts) == len(set.union(*files))
    assert [line for line in told[:-1] if "has no image of" not in line] == [
        f"keeping a tenth of the images for {part}"
        for part, name in (("dev", "val"), ("test", "test"))
        if name not in parts
    ]
    assert told[-1] == f"reading the sizes of {120 * len(parts)} images"
    for name, mine in zip(("val", "test"), files[1:], strict=True):
        assert len(mine) == 120 if name in parts else 4 <= len(mine) <= 24
        assert all(name in path.parts for path in mine) or name not in parts


def test_the_split_does_not_change_with_more_images(tmp_path: Path) -> None:
    before = folders.labelled_images(write(tmp_path / "pets", ("",)))
    write_picture(tmp_path / "pets" / "cat" / "another.png", (1, 2, 3))
    after = folders.labelled_images(tmp_path / "pets")
    for one, other in zip(before[1:4], after[1:4], strict=True):
        assert {path.name for path in paths(other) - paths(one)} <= {"another.png"}
        assert paths(one) <= paths(other)
    assert before.fingerprint() != after.fingerprint()


def test_tiny_imagenet_as_published(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(6):
            write_picture(tmp_path / "train" / name / "images" / f"{name}_{number}.png", (9, number, 9))
    for place in ("val/images/val_0.png", "val/images/val_1.png", "test/images/test_0.png"):
        write_picture(tmp_path / place, (1, 2, 3))
    listed = "val_1.png\tcat\t0\t0\t5\t5\nval_0.png\tdog\t0\t0\t5\t5\n"
    (tmp_path / "val" / "val_annotations.txt").write_text(listed)
    told: list[str] = []
    found = folders.labelled_images(tmp_path, told.append)
    assert found.classes == ("cat", "dog")
    assert found.dev.names == ["val/images/val_0.png", "val/images/val_1.png"]
    assert found.dev.labels.tolist() == [1, 0]
    assert f"{tmp_path / 'test'}: pictures passed over, as they have no labels: 1" in told
    assert all("train/" in name for name in found.test.names or ())


def test_pictures_of_two_classes_that_changed_places_are_other_data(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets", ("train", "val", "test"), count=3)
    one, other = (folder / "train" / name / "0.bmp" for name in ("cat", "dog"))
    write_picture(one, (200, 0, 0))
    write_picture(other, (0, 0, 200))
    assert one.stat().st_size == other.stat().st_size
    before = folders.labelled_images(folder).fingerprint()
    assert folders.labelled_images(folder).fingerprint() == before
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert folders.labelled_images(folder).fingerprint() != before


def test_folders_below_a_class_count_and_other_files_do_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets", count=2)
    write_picture(folder / "train" / "cat" / "young" / "x.PNG", (200, 9, 0))
    (folder / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "cat" / ".hidden.png").write_bytes(b"x")
    (folder / "train" / "cat" / "notes.txt").write_text("x")
    (folder / "train" / ".cache").mkdir()
    (folder / "README").write_text("x")
    assert folders.labelled_images(folder).train.read().pixels[:, 1, 0, 0].tolist() == [0, 1, 9, 0, 1]


def wrong_size(folder: Path) -> None:
    write_picture(folder / "test" / "dog" / "1.png", size=(7, 5))


def damaged(folder: Path) -> None:
    (folder / "val" / "dog" / "1.png").write_bytes(b"no")


def unknown_class(folder: Path) -> None:
    write_picture(folder / "test" / "cow" / "1.png")


def empty_class(folder: Path) -> None:
    (folder / "train" / "cow").mkdir()


def one_class(folder: Path) -> None:
    for part in ("train", "val", "test"):
        (folder / part / "dog").rename(folder / f"dogs-of-{part}")


def two_names(folder: Path) -> None:
    write_picture(folder / "dev" / "dog" / "1.png")


def no_train(folder: Path) -> None:
    (folder / "train").rename(folder / "more")


def empty(folder: Path) -> None:
    for part in ("train", "val", "test"):
        (folder / part).rename(folder.parent / part)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_size, r"test/dog/1\.png: has 7 x 5 pixels, and .*train/cat/0\.png has 6 x 5"),
        (damaged, r"val/dog/1\.png: not a readable picture"),
        (unknown_class, r"test/cow/1\.png: is of class 'cow', of which train has no image"),
        (empty_class, "train/cow: a folder of a class without images"),
        (one_class, "two classes at least are wanted, found cat"),
        (two_names, "both dev and val are there for dev"),
        (no_train, r"has a folder for dev \(val\) and test \(test\), and none for train"),
        (empty, "two classes at least are wanted, found none"),
    ],
)
def test_bad_folders_are_refused_by_name(tmp_path: Path, change: object, message: str) -> None:
    folder = write(tmp_path / "pets", count=2)
    assert callable(change)
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        folders.labelled_images(folder)
    assert str(error.value).startswith(str(folder))


def test_too_few_images_to_split_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pets: no image is for (dev|test)"):
        folders.labelled_images(write(tmp_path / "pets", ("",), count=2))
    with pytest.raises(DataError, match=r"none: cannot be read \(No such file"):
        folders.labelled_images(tmp_path / "none")
