from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.fetch.sources import SOURCES, cache_folder
from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.corpora import ImageOptions, corpus
from hardpp.data.images.drawings import DRAWINGS, drawing, read_drawings, split_drawings
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LabelledPicture
from hardpp.data.parts import PARTS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fox_01.png", "fox_02.png"),
        ("fox-1.png", "Fox.png"),
        ("truck_mirror.png", "truck.png"),
        ("crawfish1_bw_ganson.png", "crawfish2_ganson.png"),
        ("1.png", "27.png"),
    ],
)
def test_versions_of_a_drawing_have_one_name(one: str, other: str) -> None:
    same, also = (drawing(LabelledPicture(Path(name), "a")) for name in (one, other))
    assert same == also
    assert same != drawing(LabelledPicture(Path(other), "b"))
    assert same != drawing(LabelledPicture(Path("wolf.png"), "a"))


def pictures(folder: Path, names: dict[str, int]) -> list[LabelledPicture]:
    """Pictures by path, CLASS/NAME, and shade."""
    paths = {
        write_picture(folder / name, (shade % 256, shade // 256, 0)): name for name, shade in names.items()
    }
    return [LabelledPicture(path, name.partition("/")[0]) for path, name in paths.items()]


def test_copies_are_left_out_and_versions_stay_together(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = {
        f"{label}/{one}{two}_{n}.png" for label in "xy" for one in letters for two in "uvw" for n in (1, 2)
    }
    shades = {name: shade for shade, name in enumerate(sorted(names))}
    shades |= {"x/copy.png": shades["x/au_1.png"], "x/copy_3.png": 5000}  # so copy and au are one drawing
    shades |= {"y/both.png": 6000, "x/both.png": 6000}
    told: list[str] = []
    parts = split_drawings(pictures(tmp_path, shades), told.append)
    assert told == ["left out 2 copies, and 1 pictures that are in two classes"]
    where = {picture.path.relative_to(tmp_path).as_posix(): part for part in PARTS for picture in parts[part]}
    assert set(where) == set(shades) - {"x/both.png", "y/both.png", "x/copy.png"}
    for name, part in where.items():
        assert where[name.replace("_1.", "_2.")] == part
    assert where["x/copy_3.png"] == where["x/au_1.png"]
    assert all(len(parts[part]) >= 8 for part in PARTS)
    assert len(parts["train"]) > 0.7 * len(where)


def test_drawings_of_a_package(tmp_path: Path) -> None:
    kind = DRAWINGS["stamps"]
    names = {
        f"{label}/{chr(97 + n)}.png": n + 100 * k for k, label in enumerate(kind.classes) for n in range(20)
    }
    for name, shade in names.items():
        write_picture(tmp_path / kind.folder / name, (shade % 256, shade // 256, 0), (20, 30))
    write_picture(tmp_path / kind.folder / "food" / "tiny.png", 0, (15, 400))
    write_picture(tmp_path / kind.folder / "food" / "huge.png", 0, (2001, 2000), "1")
    told: list[str] = []
    found = read_drawings("stamps", tmp_path, 8, Augmentation(), told.append)
    assert told[0] == "left out 2 pictures of stamps that are too small or too large"
    assert (found.name, found.classes, found.train.size) == ("stamps", kind.classes, (3, 8, 8))
    assert sum(len(part) for part in (found.train, found.dev, found.test)) == 160


@pytest.mark.parametrize("name", DRAWINGS)
def test_what_is_fetched_is_what_is_read(name: str) -> None:
    kind = DRAWINGS[name]
    members = {f"{kind.folder}/{label}/**/*.png" for label in kind.classes}
    assert members <= set(SOURCES[name].members)


COUNTS = {"openclipart": (2202, 245, 263), "stamps": (586, 72, 52)}


@pytest.mark.parametrize("name", COUNTS)
def test_the_published_drawings(name: str) -> None:
    source = SOURCES[name]
    if not (cache_folder() / f"{name}-{source.version}").is_dir():
        pytest.skip(f"needs {name} fetched")
    found: LabelledImages = corpus(name, ImageOptions(side=32))
    assert tuple(len(part) for part in (found.train, found.dev, found.test)) == COUNTS[name]
    assert found.classes == DRAWINGS[name].classes
    assert f"{sum(COUNTS[name]):,}" in source.description
    assert found.test.read().pixels.float().std() > 30
