import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from hardpp.data.images import opened_pictures
from hardpp.data.images.opened_pictures import opened, quiet
from hardpp.data.images.picture_files import decoded
from hardpp.data.images.pixel_modes import MODES
from hardpp.data.images.rgb_pictures import check_picture, decode_rgb
from hardpp.errors import DataError, ResourceError


def written(path: Path, orientation: int | None, **options: object) -> Path:
    """A picture of 40 x 24 pixels, dark on the left and lighter at the bottom."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:, 20:] += 100
    pixels[12:] += 50
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("orientation", [None, *range(10)])
@pytest.mark.parametrize("name", ["one.jpg", "one.png", "one.webp", "one.tif"])
def test_every_orientation_is_read_as_it_is_shown(tmp_path: Path, name: str, orientation: int | None) -> None:
    path = written(tmp_path / name, orientation)
    with Image.open(path) as picture:
        wanted = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert wanted.shape == ((40, 24, 3) if orientation in (5, 6, 7, 8) else (24, 40, 3))
    height, width, _ = wanted.shape
    assert check_picture(path).shape == (width, height)
    assert check_picture(path).shape == (width, height)
    assert np.array_equal(decode_rgb(path, 99), wanted)
    assert np.array_equal(np.moveaxis(decoded(path), 0, -1), wanted)


def test_a_damaged_table_is_no_orientation(tmp_path: Path) -> None:
    path = written(tmp_path / "one.jpg", 6)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"II*\0", b"II*\1", 1).replace(b"MM\0*", b"MM\1*", 1))
    assert path.read_bytes() != content
    assert check_picture(path).shape == (40, 24)
    assert decode_rgb(path, 99).shape == (24, 40, 3)


def test_warnings_are_ignored_in_the_main_thread_and_filters_left_alone_in_others() -> None:
    before = list(warnings.filters)
    with quiet():
        warnings.warn("of odd metadata", stacklevel=1)
    assert list(warnings.filters) == before
    seen = []

    def work() -> None:
        with quiet():
            seen.append(list(warnings.filters))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_memory_runs_out_for_pixels_or_for_a_damaged_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "p.png", None)
    with pytest.raises(DataError, match="a length in it"), opened(path, MODES):
        raise MemoryError
    monkeypatch.setattr(opened_pictures, "_A_PIXEL", 2**50)
    with pytest.raises(ResourceError, match="pixels do not fit into memory"), opened(path, MODES):
        raise MemoryError
