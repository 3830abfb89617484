import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hardpp.data.images import idx
from hardpp.errors import DataError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
FILE = struct.pack(">HBBIII", 0, 8, 3, 2, 3, 4) + bytes(range(24))


@pytest.mark.parametrize("content", [FILE, gzip.compress(FILE)], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_arrays_are_read_compressed_or_not_whatever_the_name(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = idx.read(tmp_path / name, 3)
    assert found.dtype == np.uint8
    assert (found == ARRAY).all()
    assert found.shape == (2, 3, 4)


def test_an_array_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(struct.pack(">HBBI", 0, 8, 1, 0))
    assert idx.read(tmp_path / "none", 1).shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (FILE[:3], "not an IDX file"),
        (b"PNG!" + FILE, "not an IDX file"),
        (b"\0\0\7\3" + FILE[4:], "not an IDX file"),
        (b"\0\0\x0d\3" + FILE[4:], "numbers of kind float32, and uint8 are wanted"),
        (FILE[:10], "truncated in the header, after 10 bytes"),
        (FILE[:-1], "truncated, 2 x 3 x 4 bytes are promised and 23 are there"),
        (FILE + b"\n", "too long, 2 x 3 x 4 bytes are promised and 25 are there"),
        (struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 2**32 - 1, 9), "truncated, 4294967295 x"),
        (struct.pack(">HBBI", 0, 8, 1, 1) + b"\1", "an array of 3 dimensions is wanted, and it has 1"),
        (gzip.compress(FILE, mtime=0)[:-9], "truncated or damaged gzip"),
        (gzip.compress(FILE, mtime=0)[:12] + b"\xff" * 9, "truncated or damaged gzip"),
        (b"\x1f\x8bnot gzip at all", "truncated or damaged gzip"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t10k-images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        idx.read(path, 3)
    assert str(error.value).startswith(f"{path}: ")


def test_missing_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: there is no such file"):
        idx.read(tmp_path / "none", 3)
    with pytest.raises(DataError, match=r"cannot be read"):
        idx.read(tmp_path, 3)
