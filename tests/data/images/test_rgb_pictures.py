from pathlib import Path

import numpy as np
import pytest
from image_files import write_picture
from PIL import Image

from hardpp.data.images.rgb_pictures import Shape, check_picture, decode_rgb
from hardpp.errors import DataError


@pytest.mark.parametrize(
    ("mode", "colour", "pixel"),
    [
        ("L", 7, (7, 7, 7)),
        ("1", 1, (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (9, 255), (9, 9, 9)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (1, 2, 3, 255), (1, 2, 3)),
        ("RGBA", (1, 2, 3, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 200, 51), (204, 224, 244)),
        ("I;16", 257 * 9, (9, 9, 9)),
        ("I;16", 2**16 - 1, (255, 255, 255)),
    ],
)
def test_every_mode_becomes_colours_on_white(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], pixel: tuple[int, ...]
) -> None:
    path = write_picture(tmp_path / "one.png", colour, mode=mode)
    assert check_picture(path).shape == (6, 5)
    found = decode_rgb(path, 99)
    assert (found.dtype, found.shape) == (np.uint8, (5, 6, 3))
    assert {tuple(row) for row in found.reshape(-1, 3).tolist()} == {pixel}


def test_a_palette_and_deep_grey_with_a_transparent_entry(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "hole.png", transparency=0)
    assert decode_rgb(tmp_path / "plain.png", 9)[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    assert decode_rgb(tmp_path / "hole.png", 9)[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    deep = Image.fromarray(np.array([[257, 514]], np.uint16))
    deep.save(tmp_path / "deep.png", transparency=514)
    assert decode_rgb(tmp_path / "deep.png", 9)[0].tolist() == [[1, 1, 1], [255, 255, 255]]


def test_cmyk(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "one.jpg", (255, 0, 0, 0), mode="CMYK")
    red, green, blue = decode_rgb(path, 9)[0, 0].tolist()
    assert (red, green > 240, blue > 240) == (0, True, True)


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "one.png", (1, 2, 3)).rename(tmp_path / "one.JPEG")
    assert check_picture(path).shape == (6, 5)
    assert decode_rgb(path, 99)[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "shorter", "reduced"),
    [((80, 40), 40, (80, 40)), ((80, 40), 41, (80, 40)), ((80, 40), 10, (20, 10)), ((1, 999), 1, (1, 999))],
)
def test_shapes_are_reduced_by_the_shorter_side(
    shape: tuple[int, int], shorter: int, reduced: tuple[int, int]
) -> None:
    assert Shape(*shape).reduced(shorter) == reduced
    assert Shape(*shape[::-1]).reduced(shorter) == reduced[::-1]


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("shorter", [7, 29, 31, 60, 100])
def test_large_pictures_are_made_smaller(tmp_path: Path, ending: str, shorter: int) -> None:
    pixels = np.zeros((120, 180, 3), np.uint8)
    pixels[:, 90:] = 200
    path = tmp_path / f"one.{ending}"
    Image.fromarray(pixels).save(path)
    found = decode_rgb(path, shorter)
    assert found.shape == (shorter, round(180 * shorter / 120), 3)
    quarter = found.shape[1] // 4
    assert np.abs(found[:, :quarter].astype(int)).max() <= 4
    assert np.abs(found[:, -quarter:].astype(int) - 200).max() <= 4


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_what_is_cut_short_shows_without_reading_on(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = tmp_path / f"one.{ending}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-700])
    for read in (check_picture, lambda path: decode_rgb(path, 9)):
        with pytest.raises(DataError, match=rf"^{path}: not a readable picture \([^\n]+\)$"):
            read(path)
    path.write_bytes(content + b"something else" * 20)  # what follows a whole picture is nobody's concern
    assert check_picture(path).shape == (40, 40)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path}: not a readable picture"):
        check_picture(path)


def test_numbers_that_are_no_shades_are_refused(tmp_path: Path) -> None:
    for name, values in (("float", np.zeros((2, 2), np.float32)), ("deep", np.full((2, 2), 70000, np.int32))):
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
    with pytest.raises(DataError, match=r"float\.tif: a picture of mode F, which is not read"):
        check_picture(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"deep\.tif: has shades of grey of more than 16 bits"):
        decode_rgb(tmp_path / "deep.tif", 9)
