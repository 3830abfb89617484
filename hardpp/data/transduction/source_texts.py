"""Texts without their answers, one a line, as `hardpp decode --input` takes them.

A file of pairs will do as well: its sources are read. A blank line is an empty text, so that lines of answers
go with lines of the file.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from hardpp.data.lines import Report, decode_line, parse_entries, read_lines
from hardpp.data.transduction.columns import features_column, is_heading
from hardpp.data.transduction.dialects import BARS, sampled

_HINT = "every line is a text in UTF-8"
_INFLECTED = "every line is a lemma, a TAB and its features, as the run was trained on"


def read_sources(
    path: Path,
    report: Report = lambda text: None,
    *,
    inflected: bool = False,
    separators: Sequence[str] = (),
) -> list[str]:
    """Read the texts, without blanks around them.

    Args:
        path: The file; what gzip has packed is unpacked.
        report: Told when the lines have columns, which one is read.
        inflected: Texts are a lemma, a TAB and features.
        separators: What parts columns besides TABs and three bars: commas, semicolons, if no text has them.
    """
    content = read_lines(path, "one text a line")
    texts = sampled(content)
    found = (
        mark for mark in ("\t", BARS, *separators) if 2 * sum(mark in t for t in texts) >= len(texts) > 0
    )
    mark = next(found, "\t")
    several = [row for row in (_cells(text, mark) for text in texts) if len(row) > 1]
    columns: tuple[int, ...] = (0,) if several and 2 * len(several) >= len(texts) else ()
    if inflected:
        columns = _lemma_and_features(several)
    if columns and (not inflected or max(map(len, several), default=0) > 2):
        width = max(map(len, several))
        which = "columns {} and {} are".format(*(at + 1 for at in columns)) if inflected else "the first is"
        report(f"{path}: lines have {width} columns, of which {which} read")
    heading = _cells(content[0].decode("utf-8", "replace"), mark)
    skip = len(heading) > 1 and bool(columns) and is_heading(heading)
    if skip:
        report(f"{path}:1: the heading is answered by a blank line")

    def text(number: int, line: bytes) -> str:
        if not line or (skip and number == 1) or not (decoded := decode_line(line)).strip():
            return ""
        cells = _cells(decoded, mark)
        if not columns or max(columns) >= len(cells):
            if inflected:
                raise ValueError("a lemma without features (no TAB in the line)")
            return decoded.strip()
        if not all(cells[column].strip() for column in columns):
            raise ValueError("empty source")
        return "\t".join(cells[column].strip() for column in columns)

    hint = _INFLECTED if inflected else _HINT
    return list(parse_entries(path, enumerate(content, 1), text, hint, "stop", report, lines=True).values())


def _cells(text: str, mark: str) -> list[str]:
    return (
        next(csv.reader([text], delimiter=mark), [""])
        if len(mark) == 1 and mark != "\t"
        else text.split(mark)
    )


# The columns of lemma and features, whose order differs from year to year.
def _lemma_and_features(rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    if not (three := [row for row in rows if len(row) == 3]):
        return (0, 1)
    features, _ = features_column(three)
    return (1 if features == 0 else 0, 1 if features is None else features)
