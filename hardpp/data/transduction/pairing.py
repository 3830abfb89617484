"""Pairs of texts from two files, line by line, and changes to all of them."""

from collections.abc import Callable
from pathlib import Path

from hardpp.data.lines import BadLine, OnBad, Place, decode_line, parse_lines, report_bad
from hardpp.data.parts import split_by_checksum
from hardpp.data.transduction.pairs import Line, TextPair
from hardpp.errors import DataError

_HINT = "every line is a text in UTF-8, and none is empty; a run with --on-bad skip leaves such pairs out"

# The ampersand comes last, as the tokenizer escapes it first.
_MOSES = {
    " @-@ ": "-",
    "&#124;": "|",
    "&#91;": "[",
    "&#93;": "]",
    "&lt;": "<",
    "&gt;": ">",
    "&apos;": "'",
    "&quot;": '"',
    "&amp;": "&",
}


def pair_texts(
    paths: tuple[Path, Path],
    numbered: list[list[tuple[int, bytes]]],
    on_bad: OnBad,
    report: Callable[[str], None],
) -> list[Line]:
    """Pair the texts at the same place in two files.

    Args:
        paths: The files, for messages.
        numbered: For each file its texts and the lines where they stand.
        on_bad: What happens when a text is empty or not to be read: "stop", or "skip" to leave the pair out.
        report: Told what was left out.

    Raises:
        DataError: The files have unequal numbers of texts, or texts are bad, or all are.
    """
    if len(numbered[0]) != len(numbered[1]):
        raise DataError(
            f"{paths[0]} has {len(numbered[0])} lines of text but {paths[1]} has {len(numbered[1])}",
            "line i of one file must be the translation of line i of the other",
        )
    lines: list[Line] = []
    bad: list[BadLine] = []
    for first, second in zip(*numbered, strict=True):
        sides: list[str] = []
        for path, (number, line) in zip(paths, (first, second), strict=True):
            try:
                sides.append(_text(line))
            except ValueError as reason:
                bad.append(BadLine(path, number, str(reason)))
                break
        else:
            places = Place(paths[0], first[0]), Place(paths[1], second[0])
            lines.append(Line(TextPair(*sides), places))
    report_bad(bad, on_bad, report, _HINT)
    if not lines:
        raise DataError(f"{paths[0]}: no pair of texts is left", _HINT)
    return lines


def read_source_texts(path: Path) -> list[str]:
    """Read the texts of a file that has no translations, one a line, without blanks around them.

    Raises:
        DataError: The file cannot be read, or a line of it is empty or not UTF-8.
    """
    hint = "every line is a text in UTF-8, and no line is empty"
    return parse_lines(path, lambda number, line: _text(line), "one text a line", hint)


def drop_long_pairs(lines: list[Line], max_tokens: int | None, report: Callable[[str], None]) -> list[Line]:
    """Drop training pairs with more than `max_tokens` words (between blanks) on a side.

    Raises:
        DataError: None is left.
    """
    if max_tokens is None:
        return lines
    short_lines = [line for line in lines if max(map(_length, line.pair)) <= max_tokens]
    if left_out := len(lines) - len(short_lines):
        noun = "pair" if left_out == 1 else "pairs"
        report(f"{left_out} training {noun} with more than {max_tokens} words on a side left out")
    if not short_lines:
        raise DataError(f"no training pair has at most {max_tokens} words on both sides", "raise max_tokens")
    return short_lines


def split_lines(lines: list[Line], path: Path, hint: str) -> dict[str, list[Line]]:
    """Split lines into parts by checksum of the source (`split_by_checksum`)."""

    def source(line: Line) -> str:
        # Doubled blanks must not put one source into two parts.
        return " ".join(word for word in line.pair.source.split(" ") if word)

    return split_by_checksum(lines, source, path, "line", "source", hint)


def map_texts(lines: list[Line], change: Callable[[str], str]) -> list[Line]:
    """Apply a change to both texts of every pair."""
    return [line._replace(pair=TextPair(*map(change, line.pair))) for line in lines]


def unescape_moses(text: str) -> str:
    """Undo the escapes of the Moses tokenizer; words stay apart."""
    for written, meant in _MOSES.items():
        text = text.replace(written, meant)
    return text


def _length(text: str) -> int:
    return sum(1 for word in text.split(" ") if word)


# A ValueError says what is wrong with the line; the caller knows its number.
def _text(line: bytes) -> str:
    text = decode_line(line).strip(" \t")
    if not text.strip():
        raise ValueError("holds only blanks")
    return text
