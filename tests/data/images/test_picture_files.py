from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import write_picture
from PIL import Image

from hardpp.data.images import picture_files
from hardpp.data.images.picture_files import PictureFiles, decoded
from hardpp.data.images.rgb_pictures import check_picture
from hardpp.errors import DataError


@pytest.mark.parametrize(
    ("mode", "colour", "pixel"),
    [
        ("L", 7, (7,)),
        ("1", 1, (255,)),
        ("LA", (0, 0), (255,)),
        ("LA", (9, 255), (9,)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (1, 2, 3, 255), (1, 2, 3)),
        ("RGBA", (1, 2, 3, 0), (255, 255, 255)),
    ],
)
def test_every_mode_becomes_grey_or_colours_and_transparency_white(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], pixel: tuple[int, ...]
) -> None:
    path = write_picture(tmp_path / "one.png", colour, mode=mode)
    found = decoded(path)
    assert found.dtype == np.uint8
    assert found.flags.writeable  # else torch warns
    assert found.shape == (len(pixel), 5, 6)
    assert [set(channel.ravel().tolist()) for channel in found] == [{value} for value in pixel]
    assert check_picture(path) == (path, (6, 5), mode, False)


def test_a_palette_with_a_transparent_entry(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "hole.png", transparency=0)
    assert decoded(tmp_path / "plain.png")[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60]]
    assert decoded(tmp_path / "hole.png")[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "one.png", (1, 2, 3))
    path = path.rename(tmp_path / "one.jpeg")
    assert decoded(path)[:, 0, 0].tolist() == [1, 2, 3]


def test_the_square_in_the_middle(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = (200, 100, 50)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = decoded(tmp_path / "wide.png", side=10)
    assert found.shape == (3, 10, 10)
    assert [set(channel.ravel().tolist()) for channel in found] == [{200}, {100}, {50}]
    assert decoded(write_picture(tmp_path / "grey.png", 9, mode="L"), side=20).shape == (1, 20, 20)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [write_picture(tmp_path / f"{n}.png", (n, 2 * n, 0)) for n in range(5)]


@pytest.mark.parametrize("kept", [0, 2**30], ids=["not kept", "kept"])
def test_pictures_are_read_by_place(paths: list[Path], monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(picture_files, "_KEPT", kept)
    files = PictureFiles(paths, paths[0].parent)
    assert (len(files), files.size) == (5, (3, 5, 6))
    for places in ([3, 1, 3], torch.tensor([3, 1, 3])):
        found = files.read(places)
        assert found.dtype == torch.uint8
        assert found[:, :2, 0, 0].tolist() == [[3, 6], [1, 2], [3, 6]]
    assert files.read()[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert files.read([]).shape == (0, 3, 5, 6)
    paths[3].unlink()
    if kept:
        assert files.read([3])[0, 0, 0, 0] == 3
    else:
        with pytest.raises(DataError, match=r"3\.png: there is no such picture"):
            files.read([3])


def test_other_sizes_are_refused_by_name(paths: list[Path]) -> None:
    write_picture(paths[2], size=(6, 4))
    with pytest.raises(DataError, match=r"2\.png: has 6 x 4 pixels, and .*0\.png has 6 x 5") as error:
        PictureFiles(paths, paths[0].parent)
    assert "data.side=8" in error.value.hint
    assert PictureFiles(paths, paths[0].parent, side=4).read().shape == (5, 3, 4, 4)


def test_pictures_of_several_modes_become_colours(paths: list[Path]) -> None:
    write_picture(paths[1], 9, mode="L")
    write_picture(paths[2], (1, 2, 3, 0), mode="RGBA")
    Image.new("I;16", (6, 5), 257 * 40).save(paths[3])
    files = PictureFiles(paths, paths[0].parent)
    assert files.size == (3, 5, 6)
    assert files.read()[1:4, :, 0, 0].tolist() == [[9] * 3, [255] * 3, [40] * 3]
    grey = PictureFiles(paths[1:2] + paths[3:4], paths[0].parent)
    assert grey.size == (1, 5, 6)
    assert grey.read()[:, 0, 0, 0].tolist() == [9, 40]
    assert PictureFiles(paths, paths[0].parent, channels=1).read().shape == (5, 1, 5, 6)


def test_a_file_that_changes_later_is_refused(paths: list[Path]) -> None:
    files = PictureFiles(paths, paths[0].parent)
    write_picture(paths[1], size=(9, 9))
    with pytest.raises(DataError, match=r"1\.png: has changed"):
        files.read([1])


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif"])
def test_truncated_pictures_are_refused_by_name(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = tmp_path / f"one.{ending}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=rf"^{path}: not a readable picture"):
        decoded(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(content)
    for read in (check_picture, decoded):
        with pytest.raises(DataError, match=rf"^{path}: not a readable picture"):
            read(path)


def test_a_mode_that_is_not_read_and_a_folder(tmp_path: Path) -> None:
    Image.new("F", (4, 4)).save(tmp_path / "real.tif")
    with pytest.raises(DataError, match=r"real\.tif: a picture of mode F, which is not read"):
        check_picture(tmp_path / "real.tif")
    with pytest.raises(DataError, match="not a readable picture"):
        check_picture(tmp_path)


def test_the_fingerprint_sees_names_contents_and_order(paths: list[Path]) -> None:
    folder = paths[0].parent
    prints = [PictureFiles(paths, folder), PictureFiles(paths[::-1], folder), PictureFiles(paths, folder, 4)]
    before = [one.fingerprint() for one in prints]
    content = bytearray(paths[4].read_bytes())
    content[-1] ^= 1
    paths[4].write_bytes(content)
    assert len({*before, PictureFiles(paths, folder).fingerprint()}) == 4
