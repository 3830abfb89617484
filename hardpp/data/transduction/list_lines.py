"""The pairs that the lines of a list are, once it is known how they are to be read (`Dialect`)."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp.data.lines import BadLine, Blank, OnBad, Place, Report, decode_line, report_bad
from hardpp.data.transduction.answer_cells import answers
from hardpp.data.transduction.dialects import (
    BARS,
    Dialect,
    is_number,
    is_separator,
    without_comment,
    without_output,
)
from hardpp.data.transduction.pairs import Line
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tsv import fields, pair_of
from hardpp.errors import DataError

_HINT = (
    "every line is source, TAB, target in UTF-8; data.columns=1,3 would pick columns, data.format=lexicon "
    "read words and phones with blanks between them; a run with --on-bad skip leaves bad lines out"
)
_INFLECTED = ("lemma", "features", "form")
_VARIANT = re.compile(r"(.+)\(\d+\)", re.DOTALL)


def parse_list(
    path: Path, content: Iterable[bytes], dialect: Dialect, literal: bool, on_bad: OnBad, report: Report
) -> Iterator[Line]:
    """Parse the lines of one file, one by one, in order; what is wrong with any is said after the last.

    Args:
        path: The file, for messages.
        content: Its lines.
        dialect: How they are read.
        literal: Nothing is a comment or a heading.
        on_bad: What happens to a line that cannot be used.
        report: Told what was left out.
    """
    plain = dialect == Dialect(heading=dialect.heading)
    rows: Iterable[tuple[int, bytes | list[str]]] = enumerate(content, start=1)
    if dialect.quoted:
        rows = _rows(path, content, dialect)
    passed, remarks, bad, count = list[int](), list[int](), list[BadLine](), 0
    commented = dialect.kind == "lexicon"
    is_remark = _is_mark if dialect == Dialect() else partial(_is_remark, dialect=dialect)
    for number, entry in rows:
        if not literal and (is_remark(entry) or (number == 1 and _names_separator(entry))):
            passed.append(number)
            continue
        try:
            if isinstance(entry, list):
                pair = _of_cells(entry, dialect)
            else:
                pair = fields(entry) if plain else _of_line(entry, dialect)
        except ValueError as reason:
            bad.append(BadLine(path, number, str(reason), blank=isinstance(reason, Blank)))
            continue
        if commented and _has_remark(entry):
            remarks.append(number)
        place = Place(path, number)
        for one in _each(pair) if dialect.slashed else (pair,):
            count += 1
            yield Line(one, (place, place))
    report_bad(bad, on_bad, report, _HINT)
    if not count and not passed:
        raise DataError(f"{path}: no line is left", _HINT)
    if passed:
        more = f" and {len(passed) - 1} more" if len(passed) > 1 else ""
        report(f"{path}:{passed[0]}{more}: a heading, comment or blank line, which is no pair")
    if remarks:
        more = f" and {len(remarks) - 1} more" if len(remarks) > 1 else ""
        report(f"{path}:{remarks[0]}{more}: a comment, from # on, is no part of the phones")
    if not count:
        raise DataError(f"{path}: no line is left", _HINT)


def is_variant(source: str) -> bool:
    """Has a word a number, as `read(2)`?"""
    return source.endswith(")") and _VARIANT.fullmatch(source) is not None


def pool_variants(lines: Sequence[Line], others: Sequence[Line]) -> tuple[list[Line], list[str]]:
    """Make `word(2)` a further line of `word`, where most of such words have one without a number.

    Args:
        lines: Of one file.
        others: Of all files that belong together, these among them.

    Returns:
        The lines, and the words that had a number.
    """
    words = {line.pair.source for line in others}
    variants = [match[1] for word in words if (match := _VARIANT.fullmatch(word))]
    if 2 * sum(base in words for base in variants) <= len(variants):
        return list(lines), []
    pooled = []
    for line in lines:
        match = _VARIANT.fullmatch(line.pair.source)
        pooled.append(line._replace(pair=line.pair._replace(source=match[1])) if match else line)
    numbered = [old.pair.source for new, old in zip(pooled, lines, strict=True) if new is not old]
    return pooled, numbered


# A pair for each right answer in its target.
def _each(pair: TextPair) -> list[TextPair]:
    return [pair._replace(target=each) for each in answers(pair.target)]


def _names_separator(entry: bytes | list[str]) -> bool:
    text = entry.decode("utf-8", "replace") if isinstance(entry, bytes) else "".join(entry)
    return is_separator(text) or text == "sep="


def _has_remark(entry: bytes | list[str]) -> bool:
    if isinstance(entry, list):
        return False
    text = entry.decode("utf-8", "replace")
    return without_comment(text) not in ("", text)


# Of a list of pairs without a heading.
def _is_mark(entry: Any) -> bool:
    return bool(entry.startswith(b";;;"))


def _is_remark(entry: bytes | list[str], dialect: Dialect) -> bool:
    if isinstance(entry, list):
        return not entry or tuple(entry) == dialect.heading
    if _is_mark(entry) or (dialect.kind == "inflection" and not entry.strip()):
        return True  # UniMorph has blank lines between lemmas
    if dialect.kind == "lexicon" and (dialect.separator != "\t" or b"\t" not in entry):
        return not without_comment(entry.decode("utf-8", "replace")).strip()
    return bool(dialect.heading) and tuple(entry.decode("utf-8", "replace").split("\t")) == dialect.heading


def _of_line(line: bytes, dialect: Dialect) -> TextPair:
    text = decode_line(line)
    if dialect.kind == "lexicon":
        return _of_entry(without_comment(text), dialect)
    cells = text.split(dialect.separator)
    if dialect.kind == "bars" and len(cells) == 1:
        raise ValueError(f"no {BARS} in the line")
    return _of_cells(cells, dialect)


def _of_entry(text: str, dialect: Dialect) -> TextPair:
    word, *rest = text.split("\t", 1) if dialect.separator else text.split(None, 1)
    if not rest:
        raise ValueError("a word without phones")
    phones = without_output(rest[0]) if dialect.outputs else rest[0]
    for _ in range(dialect.numbers):
        number, *more = phones.split(None, 1)
        if not is_number(number) or not more:
            wanted = f"{dialect.numbers} number{'s' * (dialect.numbers > 1)}"
            raise ValueError(f"no {wanted} and phones after the word")
        phones = more[0]
    return pair_of([word, phones])


def _of_cells(cells: list[str], dialect: Dialect) -> TextPair:
    if len(cells) != dialect.width:
        raise ValueError(f"{len(cells)} columns found where {dialect.width} are wanted")
    if any("\n" in cell or "\0" in cell for cell in cells):
        raise ValueError("a line break or NUL within a field")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        raise ValueError("not UTF-8") from None
    chosen = [cells[column] for column in dialect.columns]
    return pair_of(chosen, _INFLECTED) if len(chosen) == 3 else pair_of(chosen)


# Rows with the numbers of the lines where they begin; a quoted field may go over several.
def _rows(path: Path, content: Iterable[bytes], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    texts = (line.decode("utf-8", "surrogateescape") + "\n" for line in content)
    reader = csv.reader(texts, delimiter=dialect.separator, strict=True)
    number = 1
    try:
        for row in reader:
            yield number, row
            number = reader.line_num + 1
    except csv.Error as error:
        hint = "a field with quotes in it stands in quotes, and its own are doubled"
        raise DataError(f"{path}:{number}: not CSV ({error})", hint) from error
