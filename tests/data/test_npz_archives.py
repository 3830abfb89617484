import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hardpp.data import packed
from hardpp.data.npz_archives import read_arrays
from hardpp.errors import DataError

ARRAYS = {
    "a": np.arange(6).reshape(2, 3),
    "b": np.asfortranarray(np.eye(3, dtype=np.float32)),
    "c": np.float16(2),
}


def written(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_of_numpy(tmp_path: Path, save: object) -> None:
    save(tmp_path / "f.npz", **ARRAYS)  # type: ignore[operator]
    found = read_arrays(tmp_path / "f.npz", ["a", "b", "c", "none"])
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (npy(np.array([{}], dtype=object)), "an array of object"),
        (npy(ARRAYS["a"])[:-1], "an array of shape (2, 3) has 47 bytes"),
        (npy(ARRAYS["a"]).replace(b"(2, 3)", b"(2**9)"), "malformed node or string"),
        (npy(ARRAYS["a"]).replace(b"(2, 3), ", b"(-2, -3)"), ""),
        (npy(ARRAYS["a"]).replace(b"'descr'", b"'''''''"), ""),
        (b"no array", "the magic string is not correct"),
        (b"", "EOF"),
    ],
)
def test_arrays_that_are_none_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = written(tmp_path / "f.npz", "a.npy", content)
    with pytest.raises(DataError) as error:
        read_arrays(path, ["a"])
    assert str(error.value).startswith(f"{path}: not an archive of plain numbers (")
    assert what in str(error.value)


def test_flipped_bits_of_a_packed_archive_are_told(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez_compressed(path, a=np.arange(200))
    content = bytearray(path.read_bytes())
    refused = 0
    for at in range(60, len(content), 3):
        content[at] ^= 16
        path.write_bytes(content)
        content[at] ^= 16
        try:
            read_arrays(path, ["a"])
        except DataError:
            refused += 1
    assert refused > 100


def test_an_archive_that_unpacks_to_far_more_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_LARGE", 1000)
    np.savez_compressed(tmp_path / "f.npz", a=np.zeros(10**5))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *args: pytest.fail("it was unpacked"))
    with pytest.raises(DataError, match=r"f\.npz: has [\d,]+ bytes, and unpacks to 800,128 or more"):
        read_arrays(tmp_path / "f.npz", ["a"])
