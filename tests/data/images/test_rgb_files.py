from pathlib import Path

import numpy as np
import pytest
from image_files import write_picture
from PIL import Image

from hardpp.data.images.rgb_files import KnownPicture, RGBFiles, known_pictures
from hardpp.data.images.rgb_pictures import Shape
from hardpp.errors import DataError


def noise(path: Path, size: tuple[int, int] = (30, 20)) -> Path:
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / "in" / f"{'x' * number}.png", (30 + number, 20)) for number in range(1, 6)]


def known(paths: list[Path]) -> list[KnownPicture]:
    return [picture for picture in known_pictures(paths, 16, "stop", lambda text: None) if picture]


def test_what_is_kept_is_what_decoding_gives(paths: list[Path]) -> None:
    need = sum(3 * 16 * round((30 + number) * 16 / 20) for number in range(1, 6))
    kept, not_kept = (RGBFiles(known(paths), paths[0].parent, 16, need - less) for less in (0, 1))
    assert (kept.fits, not_kept.fits, len(kept)) == (True, False, 5)
    assert kept.fingerprint == not_kept.fingerprint
    for files in (kept, not_kept):
        assert [files.read(place).shape for place in (4, 0)] == [(16, 28, 3), (16, 25, 3)]
    for place in (4, 0):
        assert np.array_equal(kept.read(place), not_kept.read(place))
    paths[4].unlink()
    assert kept.read(4).shape == (16, 28, 3)
    with pytest.raises(DataError, match=r"xxxxx\.png: there is no such picture"):
        not_kept.read(4)


def test_other_shorter_sides(paths: list[Path]) -> None:
    files = RGBFiles(known(paths), paths[0].parent, 16)
    assert files.at(8).read(0).shape == (8, 12, 3)
    assert files.at(99).read(0).shape == (20, 31, 3)
    assert (
        len(
            {
                files.fingerprint,
                files.at(8).fingerprint,
                RGBFiles(known(paths)[::-1], paths[0].parent, 16).fingerprint,
            }
        )
        == 3
    )
    assert files.names == [path.name for path in paths]


def test_the_fingerprint_sees_that_pictures_changed_places(paths: list[Path]) -> None:
    before = RGBFiles(known(paths), paths[0].parent, 16).fingerprint
    contents = [path.read_bytes() for path in paths[:2]]
    for path, content in zip(paths[:2], contents[::-1], strict=True):
        path.write_bytes(content)
    assert RGBFiles(known(paths), paths[0].parent, 16).fingerprint != before


def test_a_file_that_changes_later_is_refused(paths: list[Path]) -> None:
    files = RGBFiles(known(paths), paths[0].parent, 16)
    write_picture(paths[1], size=(9, 9))
    with pytest.raises(DataError, match=r"xx\.png: has changed since it was first looked at"):
        files.read(1)


def test_headers_are_read_in_order(paths: list[Path]) -> None:
    told: list[str] = []
    found = known_pictures(paths * 200, 16, "stop", told.append)
    assert found == [KnownPicture(path, Shape(30 + number, 20)) for number, path in enumerate(paths, 1)] * 200
    assert told == ["reading the sizes of 1000 images"]


def damaged_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_broken_pictures_are_refused_or_left_out(paths: list[Path]) -> None:
    paths[3].write_bytes(b"no picture")
    paths[2].write_bytes(paths[2].read_bytes()[:-100])
    with pytest.raises(
        DataError, match=r"xxx\.png: not a readable picture \(image file is truncated"
    ) as error:
        known(paths)
    assert "skip" in error.value.hint
    damaged_inside(paths[0])
    assert known(paths[:2])  # the header does not tell
    told: list[str] = []
    found = known_pictures(paths, 16, "skip", told.append)
    assert [picture.path for picture in found if picture] == [paths[1], paths[4]]
    assert [picture is None for picture in found] == [True, False, True, True, False]
    assert told[0] == "reading the sizes of 5 images, and decoding them once"
    assert told[1].startswith("left out 3 images: ")
    assert [str(path) in told[1] for path in paths] == [True, False, True, True, False]
