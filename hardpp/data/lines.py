"""A user's own text and JSON files, and what happens to bad lines and entries of them.

Lines end at `\\n` (or `\\r\\n`; at `\\r` in a file that has no `\\n`) and nowhere else, so U+2028 and U+0085
are data. One `\\n` at the end of the file closes the last line; a second one is an empty line, and counts. A
byte order mark is dropped; with that of UTF-16 the file is read as such. A file that gzip has packed is
unpacked, whatever it is called.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from hardpp.data.binary_files import refuse_binary
from hardpp.data.json_values import json_value
from hardpp.data.packed import unpacked
from hardpp.data.pipes import read_bytes
from hardpp.errors import DataError

OnBad = Literal["stop", "skip"]  # refuse the data, or leave the line out and say so
# Between the two, where what is written has a line for each that is read: leave out lines that lack a text.
BLANKS: Literal["blanks"] = "blanks"
Report = Callable[[str], None]

Raw = TypeVar("Raw")
Parsed = TypeVar("Parsed")

BOM = b"\xef\xbb\xbf"  # byte order mark
BOMS_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNSEEN = "\ufeff\u200b\u200e\u200f\u2060"  # byte order mark, zero-width blank, marks of direction, joiner
_SHOWN = 5  # bad lines named in one message


class Place(NamedTuple):
    """A line of a file."""

    path: Path
    number: int  # from 1


class Blank(ValueError):
    """There is no text, or one only where there should be two: which need not be wrong."""


class BadLine(NamedTuple):
    """A line that cannot be used, or an entry of a list."""

    path: Path
    number: int  # of a line from 1, of an entry from 0
    reason: str
    entry: bool = False
    blank: bool = False


def read_text(path: Path, hint: str = "") -> str:
    """Read a text in UTF-8, or UTF-16 with a byte order mark; `hint` says what to do if it cannot be read."""
    try:
        content = read_bytes(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint) from error
    encoding = "utf-16" if content.startswith(BOMS_UTF16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = (
            f"{path}:{line}: not {encoding.removesuffix('-sig').upper()} (byte {error.start + 1} of the file)"
        )
        raise DataError(what, hint or "save it in UTF-8") from error


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    try:
        return json_value(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error


def read_content(path: Path, expected: str) -> bytes:
    """Read the bytes of a file; `expected` says what an empty file should hold."""
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file or folder") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    content = unpacked(content, path)
    refuse_binary(content, str(path))
    if content.startswith(BOMS_UTF16) and len(content) > len(BOMS_UTF16[0]):
        try:
            content = content.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-16, as its first bytes say (byte {error.start + 1})") from error
    if not content.removeprefix(BOM):
        raise DataError(f"{path}: the file is empty", f"it needs {expected}")
    return content


def split_lines(content: bytes) -> list[bytes]:
    """The lines of a file's content, without their ends."""
    text = content.removeprefix(BOM)
    if b"\n" not in text:  # as spreadsheets on a Mac write "text (TABs)"
        text = text.replace(b"\r", b"\n")
    text = text.removesuffix(b"\n")
    return [line.removesuffix(b"\r") for line in text.split(b"\n")]


def read_lines(path: Path, expected: str) -> list[bytes]:
    """Read the lines of a file, without their ends; `expected` says what an empty file should hold."""
    return split_lines(read_content(path, expected))


def trimmed(text: str) -> str:
    """A text without white space and marks that nobody sees around it, such as byte order marks."""
    while (shorter := text.strip().strip(_UNSEEN)) != text:
        text = shorter
    return text


def decode_line(line: bytes) -> str:
    """Decode a line as UTF-8.

    Raises:
        ValueError: It says what is wrong with the line: not UTF-8, empty, or a NUL character in it.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{line[error.start]:02x} at byte {error.start + 1})") from error
    if not text:
        raise Blank("empty line")
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


def parse_lines(
    path: Path,
    parse: Callable[[int, bytes], Parsed],
    expected: str,
    hint: str,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> list[Parsed]:
    """Read a file and parse each of its lines; returns the results in order.

    Args:
        path: The file.
        parse: Takes the number of a line, from 1, and the line; a ValueError or DataError says what is wrong.
        expected: What the lines should be, for the hint when there are none.
        hint: What a line should be, when one is bad.
        on_bad: "stop", or "skip" to leave bad lines out.
        report: Told what was left out.
    """
    numbered = enumerate(read_lines(path, expected), start=1)
    return list(parse_entries(path, numbered, parse, hint, on_bad, report, lines=True).values())


def parse_entries(
    path: Path,
    entries: Iterable[tuple[int, Raw]],
    parse: Callable[[int, Raw], Parsed],
    hint: str,
    on_bad: OnBad,
    report: Report,
    *,
    lines: bool = False,
) -> dict[int, Parsed]:
    """Parse the entries of a list in a file; returns the results by the numbers of the entries.

    Args:
        path: The file, for messages.
        entries: Numbers, from 0, and entries.
        parse: Takes both; a ValueError or DataError says what is wrong.
        hint, on_bad, report: As for `parse_lines`.
        lines: They are lines, and their numbers start from 1.
    """
    parsed: dict[int, Parsed] = {}
    bad: list[BadLine] = []
    for number, entry in entries:
        try:
            parsed[number] = parse(number, entry)
        except (ValueError, DataError) as reason:
            blank = isinstance(reason, Blank)
            bad.append(BadLine(path, number, str(reason), entry=not lines, blank=blank))
    report_bad(bad, on_bad, report, hint)
    if not parsed:
        raise DataError(f"{path}: no {'line' if lines else 'entry'} is left", hint)
    return parsed


def report_bad(bad: Sequence[BadLine], on_bad: OnBad | Literal["blanks"], report: Report, hint: str) -> None:
    """Refuse data that has bad lines, or tell how many were left out and which came first.

    Args:
        bad: The bad lines of one file, or of files of one folder, in order; there may be none.
        on_bad: "stop", "skip", or BLANKS: stop unless all of them are blank.
        report: Told what is left out.
        hint: What a line should be.
    """
    if not bad:
        return
    if on_bad == BLANKS and (worse := [line for line in bad if not line.blank]):
        bad, on_bad = worse, "stop"
    first, *rest = bad
    singular, plural = ("entry", "entries") if first.entry else ("line", "lines")
    place = f"{first.path}: entry {first.number}" if first.entry else f"{first.path}:{first.number}"
    message = f"{place}: {first.reason}"
    if rest:
        numbers = [
            f"{line.number}" if line.path == first.path else f"{line.path.name}:{line.number}"
            for line in rest[: _SHOWN - 1]
        ]
        ellipsis = ", ..." if len(rest) > len(numbers) else ""
        noun = singular if len(rest) == 1 else plural
        message += f" (and {len(rest)} more bad {noun}: {', '.join(numbers)}{ellipsis})"
    if on_bad == "stop":
        raise DataError(message, hint)
    report(f"left out: {message}")
