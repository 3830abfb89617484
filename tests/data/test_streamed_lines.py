"""Lines that are read one by one are those that are read at once."""

import gzip
from pathlib import Path

import pytest

from hardpp.data import packed, streamed_lines
from hardpp.data.lines import read_lines
from hardpp.data.streamed_lines import can_be_streamed, stream_lines, text_size
from hardpp.errors import DataError

CONTENTS = [
    b"a\n",
    b"a\nb",
    b"a\n\n",
    b"\n\n",
    b"a\r\nb\r\n",
    b"\xef\xbb\xbfa\tb\nc",
    b"a\rb\nc\r\r\n",
    b"\xff\n\0\n",
]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_they_are_the_same(content: bytes, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert can_be_streamed(path)
    assert list(stream_lines(path)) == read_lines(path, "lines")


def test_what_can_only_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "words"
    for content in (b"a\rb\r", b"a", b"", "a\tb\n".encode("utf-16")):
        path.write_bytes(content)
        assert not can_be_streamed(path)
    assert not can_be_streamed(tmp_path)
    assert not can_be_streamed(tmp_path / "nothing")


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "words.gz"
    path.write_bytes(gzip.compress(b"line\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"words\.gz: cannot be unpacked: truncated or damaged gzip"):
        list(stream_lines(path))
    path.write_bytes(b"PK\x03\x04\n")
    with pytest.raises(DataError, match="is a ZIP archive"):
        list(stream_lines(path))
    monkeypatch.setattr(packed, "_LARGE", 2000)
    monkeypatch.setattr(streamed_lines, "_LONGEST", 500)
    monkeypatch.setattr(streamed_lines, "_AT_ONCE", 100)
    path.write_bytes(gzip.compress(b"line\n" * 1_000_000))
    with pytest.raises(DataError, match="and unpacks to"):
        list(stream_lines(path))
    path.write_bytes(b"x" * 600)
    with pytest.raises(DataError, match="a line of 500 bytes"):
        list(stream_lines(path))


def test_sizes(tmp_path: Path) -> None:
    plain, small = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(b"abc\n")
    small.write_bytes(gzip.compress(b"abc\n"))
    assert text_size([plain, small]) == 4 + 3 * small.stat().st_size
