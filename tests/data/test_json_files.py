from pathlib import Path

import pytest

from hardpp.data.json_files import read
from hardpp.errors import DataError


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "f.json").write_bytes(mark + '["ä"]'.encode())
    assert read(tmp_path / "f.json") == ["ä"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "Expecting value"), (b"[1", "Expecting"), (b'"\xff"', "codec"), (b"[" * 200_000, "too deeply")],
    ids=["empty", "cut short", "not UTF-8", "deep"],
)
def test_what_is_not_json_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "f.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"f\.json: not JSON \(.*{reason}"):
        read(tmp_path / "f.json")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "f.json", tmp_path):
        with pytest.raises(DataError, match=f"{path}: cannot be read"):
            read(path)
