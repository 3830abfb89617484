from pathlib import Path

import h5py
import pytest

from hardpp.diagnostics.global_heaps import damaged_heap
from hardpp.diagnostics.posterior_file import read_posterior
from hardpp.errors import CheckpointError


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.nc"
    with h5py.File(path, "w") as file:
        for number in range(40):
            file.attrs[f"text {number}"] = "a text of any length " * number
    return path


def test_heaps_as_the_library_writes_them_have_an_end(texts: Path) -> None:
    assert b"GCOL" in texts.read_bytes()
    assert damaged_heap(texts) is None


def test_a_heap_that_would_be_walked_for_ever_is_refused(texts: Path) -> None:
    content = bytearray(texts.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 64] = bytes(64)
    texts.write_bytes(content)
    assert damaged_heap(texts) == first
    with pytest.raises(
        CheckpointError, match=rf"texts.nc is damaged at byte {first:,}: a text there has no end"
    ):
        read_posterior(texts)


def test_an_empty_file_has_no_heap(tmp_path: Path) -> None:
    (tmp_path / "empty.nc").touch()
    assert damaged_heap(tmp_path / "empty.nc") is None
