from pathlib import Path

import pytest

from hardpp.data.json_files import parse_entries, read_json
from hardpp.errors import DataError


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "f.json").write_bytes(mark + '["ä"]'.encode())
    assert read_json(tmp_path / "f.json") == ["ä"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "Expecting value"), (b"[1", "Expecting"), (b'"\xff"', "codec"), (b"[" * 200_000, "too deeply")],
    ids=["empty", "cut short", "not UTF-8", "deep"],
)
def test_what_is_not_json_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "f.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"f\.json: not JSON \(.*{reason}"):
        read_json(tmp_path / "f.json")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "f.json", tmp_path):
        with pytest.raises(DataError, match=f"{path}: cannot be read"):
            read_json(path)


def half(number: int, entry: int) -> int:
    if entry % 2:
        raise ValueError(f"{entry} is odd")
    return entry // 2


def test_entries_are_made_left_out_or_refused() -> None:
    told: list[str] = []
    entries = list(enumerate([4, 5, 6, 7]))
    assert parse_entries(Path("f"), entries, half, "skip", told.append, "even") == {0: 2, 2: 3}
    assert told == ["left out: f: entry 1: 5 is odd (and 1 more bad entry: 3)"]
    with pytest.raises(DataError, match=r"^f: entry 1: 5 is odd"):
        parse_entries(Path("f"), entries, half, "stop", pytest.fail, "even")
    with pytest.raises(DataError, match=r"^f: no entry is left"):
        parse_entries(Path("f"), [(0, 1)], half, "skip", told.append, "even")
