from pathlib import Path

import numpy as np
import pytest
from image_files import write_birds
from PIL import Image

from hardpp.data.images import cub
from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.cub import is_cub, read_cub
from hardpp.data.images.resized_pictures import ResizedPictures, at_side, plain
from hardpp.errors import DataError

LISTS = ("images", "image_class_labels", "classes", "train_test_split", "bounding_boxes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_birds(tmp_path / "birds")


def change(folder: Path, name: str, line: int, text: str | None) -> Path:
    """A list with another line, or without it."""
    path = folder / f"{name}.txt"
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_parts_and_classes(folder: Path) -> None:
    told: list[str] = []
    found = read_cub(folder, 12, report=told.append)
    assert (found.name, found.classes) == ("birds", ("001.Crow", "002.Gull"))
    learnt = [number for number in range(24) if number % 3 < 2]
    dev = [learnt[0], learnt[7], learnt[15]]  # of 16, three at equal distances
    expected = [[n for n in learnt if n not in dev], dev, [n for n in range(24) if n % 3 == 2]]
    for part, numbers in zip((found.train, found.dev, found.test), expected, strict=True):
        assert part.read().pixels[:, 2].unique(dim=0)[:, 0, 0].tolist() == numbers
        assert part.labels.tolist() == [number % 2 for number in numbers]
        assert part.names == [f"images/{found.classes[n % 2]}/bird_{n}.png" for n in numbers]
    assert told[0] == "train_test_split.txt: 16 pictures to train on and not 5994, 3 of them for dev"


def test_the_published_pictures_for_dev() -> None:
    assert cub._spread(5994) == [int(index) for index in np.linspace(0, 5993, 1000)]
    assert [cub._spread(count) for count in (0, 1, 2, 12)] == [[], [0], [0], [0, 11]]


@pytest.mark.parametrize(
    ("box", "square"),
    [
        ("10.0 8.0 12.0 6.0", (7, 2, 25, 20)),  # around (16, 11), 9 to each side
        ("10.9 8.0 12.0 6.0", (7, 2, 25, 20)),
        ("0.0 0.0 12.0 6.0", (0, 0, 15, 12)),  # around (6, 3), cut to the left and above
        ("30.0 20.0 8.0 12.0", (25, 17, 40, 30)),  # around (34, 26), cut to the right and below
        ("0 0 400 300", (0, 0, 40, 30)),
    ],
)
def test_squares_around_boxes_are_cut_at_the_border_and_stretched(
    folder: Path, box: str, square: tuple[int, int, int, int]
) -> None:
    change(folder, "bounding_boxes", 1, f"1 {box}")
    with Image.open(folder / "images" / "001.Crow" / "bird_0.png") as picture:
        cut = picture.crop(square).resize((20, 20), Image.Resampling.BICUBIC)
    expected = np.moveaxis(np.asarray(cut), -1, 0)
    shown = read_cub(folder, 20).dev.read([0]).pixels[0].numpy()
    assert (shown == expected).all()


def test_squares_of_large_pictures_are_as_sharp_as_the_file(tmp_path: Path) -> None:
    folder = write_birds(tmp_path, 24, (640, 480))
    found = read_cub(folder, 12)
    assert isinstance(found.train, ResizedPictures)
    assert found.train.files.shorter == 480 * 24 // 18
    assert found.train.files.read(0).shape == (480, 640, 3)
    change(folder, "bounding_boxes", 1, "1 100 80 400 300")
    for number in range(2, 25):
        change(folder, "bounding_boxes", number, f"{number} 100 80 400 300")
    found = read_cub(folder, 12)
    assert isinstance(found.train, ResizedPictures)
    assert 24 <= found.train.files.shorter <= 26  # the square is as high as the picture


def test_crops_to_train_on_lie_within_the_square(folder: Path) -> None:
    train = read_cub(folder, 12, Augmentation(smallest_area=0.1)).train
    pixels = [train.read(epoch=epoch).pixels for epoch in range(1, 9)]
    for epoch in pixels[1:]:
        assert not epoch.equal(pixels[0])
    # The square has columns 7 to 24 of 40, and rows 2 to 19 of 30; sharpened edges may overshoot by a little.
    for epoch in pixels:
        assert 7 * 255 // 39 - 6 <= epoch[:, 0].min() <= epoch[:, 0].max() <= 24 * 255 // 39 + 6
        assert 2 * 255 // 29 - 6 <= epoch[:, 1].min() <= epoch[:, 1].max() <= 19 * 255 // 29 + 6
    assert plain(train).read(epoch=3).pixels.equal(read_cub(folder, 12).train.read().pixels)
    assert at_side(train, 24).read(epoch=2).pixels.shape[-2:] == (24, 24)


def test_the_fingerprint_sees_the_boxes(folder: Path) -> None:
    before = read_cub(folder, 12).fingerprint()
    assert read_cub(folder, 12).fingerprint() == before
    change(folder, "bounding_boxes", 24, "24 11.0 8.0 12.0 6.0")
    assert read_cub(folder, 12).fingerprint() != before


@pytest.mark.parametrize("name", LISTS)
def test_a_missing_list_is_named(folder: Path, name: str) -> None:
    (folder / f"{name}.txt").unlink()
    assert is_cub(folder) == (name != "images")
    with pytest.raises(DataError, match=rf"^{folder}/{name}\.txt: there is no such file"):
        read_cub(folder, 12)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("images", "3", "3: NUMBER PATH is wanted, not '3'"),
        ("images", "three 001.Crow/bird_2.png", "3: NUMBER PATH is wanted"),
        ("images", "2 001.Crow/bird_2.png", r"3: 2 has a line already, .*images\.txt:2"),
        ("images", "3 ../bird_2.png", "3: '../bird_2.png' is not a path below"),
        ("images", "3 /bird_2.png", "3: '/bird_2.png' is not a path below"),
        ("image_class_labels", "3 3", r"3: there is no class 3 in classes\.txt"),
        ("image_class_labels", "3 crow", "3: a whole number is wanted, not 'crow'"),
        ("image_class_labels", "3 1 1", "3: a whole number is wanted, not '1 1'"),
        ("image_class_labels", "99 1", r" has no line for picture 3 \(.*images\.txt:3\)"),
        ("train_test_split", "3 2", "3: 1 or 0 is wanted, not '2'"),
        ("bounding_boxes", "3 1 2 3", "3: NUMBER LEFT TOP WIDTH HEIGHT is wanted, not '3 1 2 3'"),
        ("bounding_boxes", "3 1 2 3 4 5", "3: four numbers are wanted, not '1 2 3 4 5'"),
        ("bounding_boxes", "3 1 2 3 x", "3: four numbers are wanted, not '1 2 3 x'"),
        ("bounding_boxes", "3 1 2 0 4", "3: a box with an area is wanted"),
        ("bounding_boxes", "3 nan 2 3 4", "3: a box with an area is wanted"),
        ("bounding_boxes", "3 90 2 9 9", "3: nothing of the box is in a picture of 40 x 30 pixels"),
        ("bounding_boxes", "3 9 9 .5 .5", "3: nothing of the box is in a picture"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(folder: Path, name: str, text: str, message: str) -> None:
    path = change(folder, name, 3, text)
    with pytest.raises(DataError, match=f"^{path}:{message}"):
        read_cub(folder, 12)


def test_lines_of_pictures_that_are_not_listed(folder: Path) -> None:
    change(folder, "images", 24, None)
    with pytest.raises(DataError, match=r"^.*labels\.txt:24: there is no picture 24 in images\.txt"):
        read_cub(folder, 12)


def test_missing_pictures_are_named_or_left_out(folder: Path) -> None:
    (folder / "images" / "001.Crow" / "bird_6.png").unlink()
    with pytest.raises(DataError, match=r"001\.Crow/bird_6\.png: there is no such picture"):
        read_cub(folder, 12)
    assert len(read_cub(folder, 12, on_bad="skip").train) == 12
