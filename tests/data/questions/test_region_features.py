import csv
from pathlib import Path

import numpy as np
import pytest
from question_corpora import regions, tsv_line

from hardpp.data.questions.region_features import RegionFeatures
from hardpp.errors import DataError


def opened(folder: Path) -> RegionFeatures:
    return RegionFeatures.of_folder(folder, lambda text: None)


def archive(path: Path, images: list[int], counts: list[int], **more: object) -> None:
    S = max(counts)
    boxes, features = np.zeros((len(images), S, 4), np.float32), np.zeros((len(images), S, 3), np.float32)
    for row, (image, count) in enumerate(zip(images, counts, strict=True)):
        boxes[row, :count], features[row, :count] = regions(image, count)
    parts = {
        "image_id": np.array(images),
        "boxes": boxes,
        "features": features,
        "num_boxes": np.array(counts),
    }
    np.savez(path, **(parts | more))


def test_lines_are_decoded_as_the_csv_module_would(tmp_path: Path) -> None:
    path = tmp_path / "features.tsv"
    wide = np.arange(90_000, dtype=np.float32).reshape(3, -1)  # a field longer than csv reads by itself
    boxes, _ = regions(7, 3)
    path.write_bytes(tsv_line(7, boxes, wide) + tsv_line(12, np.ones((2, 4)), -wide[:2]))
    found = opened(tmp_path)
    np.testing.assert_array_equal(found.read("7"), wide)
    np.testing.assert_array_equal(np.array(found.boxes("7"), np.float32), boxes)
    np.testing.assert_array_equal(found.read("12"), -wide[:2])
    assert found.channels == 30_000
    assert "7" in found
    assert "8" not in found
    with path.open() as file, pytest.raises(csv.Error, match="field larger"):
        list(csv.reader(file, delimiter="\t"))


def test_of_an_image_that_is_there_twice_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(tsv_line(7, *regions(1, 2)) + tsv_line(7, *regions(2, 3)))
    (tmp_path / "b.tsv").write_bytes(tsv_line(7, *regions(3, 4)) + tsv_line(8, *regions(4, 4)))
    found = opened(tmp_path)
    np.testing.assert_array_equal(found.read("7"), regions(1, 2)[1])
    assert found.read("8").shape == (4, 3)


def test_an_archive_gives_each_image_its_own_regions(tmp_path: Path) -> None:
    archive(tmp_path / "f.npz", [5, 6], [2, 4])
    found = opened(tmp_path)
    for image, count in ((5, 2), (6, 4)):
        boxes, features = regions(image, count)
        np.testing.assert_array_equal(found.read(str(image)), features)
        np.testing.assert_array_equal(np.array(found.boxes(str(image)), np.float32), boxes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"7\t100\t80\t2\t\n", ":2: 5 columns found where 6 are wanted"),
        (b"x7\t100\t80\t2\tAAAA\tAAAA\n", ":2: 'x7' is no image_id"),
        (b"\n", ":2: 1 columns"),
    ],
)
def test_a_bad_line_is_named_at_once(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "f.tsv").write_bytes(tsv_line(1, *regions(1, 2)) + line)
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        tsv_line(9, np.ones((2, 4)), np.ones((2, 3))).replace(b"\t2\t", b"\t3\t"),
        tsv_line(9, np.ones((2, 4)), np.ones((2, 3))).replace(b"\t2\t", b"\ttwo\t"),
        tsv_line(9, np.ones((2, 4)), np.ones((2, 3)))[:-3] + b"\n",
        tsv_line(9, np.ones((2, 4)), np.ones((2, 0))),
    ],
    ids=["count", "no count", "cut short", "empty"],
)
def test_a_line_of_no_sense_is_named_when_it_is_read(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "f.tsv").write_bytes(tsv_line(1, *regions(1, 2)) + line)
    found = opened(tmp_path)
    assert found.read("1").shape == (2, 3)
    with pytest.raises(DataError, match=r"f\.tsv:2: boxes and features of no sense"):
        found.read("9")


def test_images_with_another_number_of_features_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(tsv_line(1, *regions(1, 2)) + tsv_line(2, *regions(2, 2, channels=5)))
    (tmp_path / "b.tsv").write_bytes(tsv_line(3, *regions(3, 2, channels=4)))
    archive(tmp_path / "c.npz", [4], [2], features=np.zeros((1, 2, 6)))
    found = opened(tmp_path)
    assert found.read("1").shape == (2, 3)
    for image, place in (
        ("2", r"a\.tsv:2: regions have 5"),
        ("3", r"b\.tsv:1: regions have 4"),
        ("4", r"c\.npz: image_id 4: regions have 6"),
    ):
        with pytest.raises(DataError, match=rf"{place} features, and those of .*a\.tsv:1 have 3"):
            found.read(image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["features", "boxes"])
def test_numbers_that_are_not_finite_are_named(tmp_path: Path, part: str, value: float) -> None:
    boxes, features = regions(2, 2)
    {"features": features, "boxes": boxes}[part][1, 2] = value
    (tmp_path / "a.tsv").write_bytes(tsv_line(1, *regions(1, 2)) + tsv_line(2, boxes, features))
    with pytest.raises(DataError, match=rf"a\.tsv:2: {part} that are not finite"):
        opened(tmp_path).read("2")
    (tmp_path / "a.tsv").unlink()
    archive(tmp_path / "b.npz", [5], [2], features=features[None], boxes=boxes[None])
    with pytest.raises(DataError, match=rf"b\.npz: image_id 5: {part} that are not finite"):
        opened(tmp_path).read("5")


@pytest.mark.parametrize("name", ["features.pkl", "features.pickle", "features.pth"])
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match=f"{name}: pickled files are not read"):
        opened(tmp_path)


def test_archives_that_hold_pickles_or_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    archive(path, [5], [2], num_boxes=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="not an archive of plain numbers"):
        opened(tmp_path)
    for wrong, message in (
        ({"boxes": np.zeros((1, 2, 3))}, "are wanted, got"),
        ({"num_boxes": np.array([3])}, "num_boxes from 1 to 2"),
        ({"image_id": np.array([1.5])}, "whole numbers"),
        ({"features": np.full((1, 2, 3), "1")}, "not an archive of plain numbers"),
    ):
        archive(path, [5], [2], **wrong)
        with pytest.raises(DataError, match=message):
            opened(tmp_path)
    np.savez(path, features=np.zeros((1, 2, 3)))
    with pytest.raises(DataError, match="lacks 'image_id'"):
        opened(tmp_path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="not an archive"):
        opened(tmp_path)


def test_the_fingerprint_sees_every_number(tmp_path: Path) -> None:
    def fingerprint(value: float) -> str:
        arrays = {"features": np.full((1, 2, 3), value), "boxes": np.zeros((1, 2, 4))}
        np.savez(tmp_path / "features.npz", image_id=np.array([1]), **arrays)
        return opened(tmp_path).fingerprint()

    assert fingerprint(1.0) == fingerprint(1.0) != fingerprint(-1.0)


def test_no_features_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no region features"):
        opened(tmp_path)
    (tmp_path / "f.tsv").write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        opened(tmp_path)
    (tmp_path / "f.tsv").write_bytes(tsv_line(1, *regions(1, 2)))
    with pytest.raises(DataError, match="no features of image_id 2"):
        opened(tmp_path).read("2")
