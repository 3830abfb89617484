import gzip
import re
from pathlib import Path

import pytest

from hardpp.data import packed
from hardpp.data.lines import (
    BLANKS,
    BadLine,
    Blank,
    decode_line,
    parse_entries,
    parse_lines,
    read_json,
    read_lines,
    report_bad,
    split_lines,
    trimmed,
)
from hardpp.errors import DataError


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfa\nb\n", [b"a", b"b"]),
        (b"a\n\n", [b"a", b""]),
        (b"a\n\nb\n\n\n", [b"a", b"", b"b", b"", b""]),
        (b"\n", [b""]),
        (b"a\rb\n", [b"a\rb"]),
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\x85c\x0bd\x0ce\x1cf".encode()]),
    ],
)
def test_only_a_newline_ends_a_line_and_only_one_closes_the_last(tmp_path, content, lines):
    (tmp_path / "f").write_bytes(content)
    assert read_lines(tmp_path / "f", "x") == lines


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match=r"f: the file is empty$") as caught:
        read_lines(tmp_path / "f", "lines")
    assert caught.value.hint == "it needs lines"


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="f: there is no such file or folder"):
        read_lines(tmp_path / "f", "x")
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path, "x")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty line"),
        (b"a\0b", "holds a NUL character"),
        (b"ab\xff", r"not UTF-8 \(byte 0xff at byte 3\)"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        decode_line(line)
    assert decode_line("ä\u2028".encode()) == "ä\u2028"


SENTENCES = [
    ([3], "f:3: odd"),
    ([3, 7], "f:3: odd (and 1 more bad line: 7)"),
    ([3, 7, 9], "f:3: odd (and 2 more bad lines: 7, 9)"),
    ([1, 2, 3, 4, 5, 6], "f:1: odd (and 5 more bad lines: 2, 3, 4, 5, ...)"),
]


@pytest.mark.parametrize(("numbers", "sentence"), SENTENCES)
def test_bad_lines_are_refused_or_left_out_in_one_sentence(numbers, sentence):
    bad = [BadLine(Path("f"), number, "odd") for number in numbers]
    with pytest.raises(DataError) as caught:
        report_bad(bad, "stop", pytest.fail, "good lines")
    assert (str(caught.value), caught.value.hint) == (sentence, "good lines")
    told = []
    report_bad(bad, "skip", told.append, "good lines")
    assert told == [f"left out: {sentence}"]


def test_bad_lines_of_another_file_are_under_its_name():
    de, en = Path("texts/train.de"), Path("texts/train.en")
    bad = [BadLine(path, number, "odd") for path, number in [(de, 2), (en, 3), (de, 4), (en, 9)]]
    with pytest.raises(DataError) as caught:
        report_bad(bad, "stop", pytest.fail, "good lines")
    assert str(caught.value) == f"{de}:2: odd (and 3 more bad lines: train.en:3, 4, train.en:9)"


@pytest.mark.parametrize("on_bad", ["stop", "skip"])
def test_good_lines_are_no_matter(on_bad):
    report_bad([], on_bad, pytest.fail, "good lines")


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([0], "f: entry 0: odd"),
        ([0, 7], "f: entry 0: odd (and 1 more bad entry: 7)"),
        ([0, 7, 9], "f: entry 0: odd (and 2 more bad entries: 7, 9)"),
    ],
)
def test_entries_are_called_so(numbers, sentence):
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        report_bad([BadLine("f", number, "odd", entry=True) for number in numbers], "stop", pytest.fail, "")


def test_what_is_made_of_lines(tmp_path):
    def make(number: int, line: bytes) -> tuple[int, int]:
        if line == b"0":
            raise DataError("nought")
        return number, int(line)

    path = tmp_path / "f"
    path.write_bytes(b"5\n7\n")
    assert parse_lines(path, make, "numbers", "a number") == [(1, 5), (2, 7)]
    path.write_bytes(b"5\n0\nx\n7\n")
    with pytest.raises(DataError, match=r"f:2: nought \(and 1 more bad line: 3\)") as caught:
        parse_lines(path, make, "numbers", "a number")
    assert caught.value.hint == "a number"
    told = []
    assert parse_lines(path, make, "numbers", "a number", "skip", told.append) == [(1, 5), (4, 7)]
    assert len(told) == 1
    path.write_bytes(b"0\n")
    with pytest.raises(DataError, match="f: no line is left"):
        parse_lines(path, make, "numbers", "a number", "skip", told.append)


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
    assert parse_entries(Path("f"), entries, half, "even", "skip", told.append) == {0: 2, 2: 3}
    assert told == ["left out: f: entry 1: 5 is odd (and 1 more bad entry: 3)"]
    with pytest.raises(DataError, match=r"^f: entry 1: 5 is odd"):
        parse_entries(Path("f"), entries, half, "even", "stop", pytest.fail)
    with pytest.raises(DataError, match=r"^f: no entry is left"):
        parse_entries(Path("f"), [(0, 1)], half, "even", "skip", told.append)


def test_blank_lines_alone_may_be_left_out(tmp_path):
    def parse(number, line):
        if line == b"no text":
            raise Blank("no text")
        return decode_line(line)

    told = []
    (tmp_path / "f").write_text("a\n\nno text\nb\n")
    assert parse_lines(tmp_path / "f", parse, "x", "hint", BLANKS, told.append) == ["a", "b"]
    assert told == [f"left out: {tmp_path / 'f'}:2: empty line (and 1 more bad line: 3)"]
    with pytest.raises(DataError, match="f:2: empty line"):
        parse_lines(tmp_path / "f", parse, "x", "hint")
    (tmp_path / "f").write_bytes(b"a\n\n\xff\n")
    with pytest.raises(DataError, match="f:3: not UTF-8"):
        parse_lines(tmp_path / "f", parse, "x", "hint", BLANKS)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\rb\rc", [b"a", b"b", b"c"]),
        (b"a\rb\r", [b"a", b"b"]),
        (b"a\r\rb\r", [b"a", b"", b"b"]),
        (b"a\r", [b"a"]),
        (b"a\rb\nc\n", [b"a\rb", b"c"]),
    ],
)
def test_a_file_without_a_newline_has_lines_of_old_macs(content: bytes, lines: list[bytes]) -> None:
    assert split_lines(content) == lines


@pytest.mark.parametrize("text", ["\ufeffab", "\u200fab\u200e", " \u200b ab\u00a0\u200b\n", "ab\u2060"])
def test_marks_that_nobody_sees_are_no_part_of_a_text(text: str) -> None:
    assert trimmed(text) == "ab"


def test_joiners_within_words_stay() -> None:
    assert trimmed("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"
    assert trimmed("a\u200bb") == "a\u200bb"


def test_a_small_file_that_unpacks_to_more_than_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_LARGE", 1000)
    monkeypatch.setattr(packed, "_RATIO", 0)
    path = tmp_path / "words.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n" * 250))
    assert len(read_lines(path, "lines")) == 250
    path.write_bytes(gzip.compress(b"a\tb\n" * 251))
    with pytest.raises(DataError, match=r"words.tsv.gz: has \d+ bytes, and unpacks to 1,004 or more"):
        read_lines(path, "lines")
