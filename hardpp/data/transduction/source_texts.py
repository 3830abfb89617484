"""Texts without their answers, one a line, as `hardpp decode --input` takes them.

A file of pairs will do as well: the side that the run reads is read, targets where it goes back. A blank line
is an empty text, so that lines of answers go with lines of the file.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.csv_cells import cells_of
from hardpp.data.lines import OnBad, Report, decode_line, parse_entries, read_lines, trimmed
from hardpp.data.transduction.columns import chosen_columns, features_column, is_heading
from hardpp.data.transduction.dialects import BARS, is_lexicon, is_separator, sampled, without_comment
from hardpp.data.transduction.markup import refuse_markup
from hardpp.errors import DataError, UsageError

_HINT = "every line is a text in UTF-8"
_INFLECTED = "every line is a lemma, a TAB and its features, as the run was trained on"
_NUMBERED = re.compile(r"(.+)\(\d+\)")  # CMUdict's further lines of a word


class Reading(NamedTuple):
    """What a run takes for a source.

    Args:
        inflected: Texts are a lemma, a TAB and features.
        separators: What parts columns besides TABs and three bars: commas, semicolons, if no text has them.
        columns: Those of a table that the run was trained on, as `chosen_columns` takes them.
        reverse: Sources of the run are the targets of lists.
        of_words: No source has a blank, so in a pronouncing dictionary the first word is read.
        on_bad: What happens to a line that cannot be used; one that is left out is an empty text.
    """

    inflected: bool = False
    separators: Sequence[str] = ()
    columns: str | None = None
    reverse: bool = False
    of_words: bool = False
    on_bad: OnBad = "stop"


_PLAIN = Reading()


def read_sources(path: Path, report: Report = lambda text: None, reading: Reading = _PLAIN) -> list[str]:
    """Read the texts, without blanks around them.

    Args:
        path: The file; what gzip has packed is unpacked.
        report: Told when the lines have columns, which one is read.
        reading: What texts of the run are like.
    """
    content = read_lines(path, "one text a line")
    texts = sampled(content, len(content))
    try:
        refuse_markup(texts, "one text a line")
    except DataError as error:
        raise DataError(f"{path}: {error}", error.hint) from error
    marks = ("\t", BARS, *reading.separators)
    found = (mark for mark in marks if 2 * sum(mark in text for text in texts) >= len(texts) > 0)
    mark = next(found, "\t")
    several = [row for row in (_cells(text, mark) for text in texts) if len(row) > 1]
    in_columns = bool(several) and 2 * len(several) >= len(texts)
    dictionary = not in_columns and reading.of_words and not reading.reverse and is_lexicon(texts)
    heading = _heading(several, reading) if in_columns else None
    columns: tuple[int, ...] = ()
    if reading.inflected:
        columns = _lemma_and_features(several)
    elif in_columns:
        columns = (_source_column(several, heading, reading),)
    width = max(map(len, several), default=0)
    if columns and (not reading.inflected or width > 2):
        first = "the first is" if columns == (0,) else f"column {columns[0] + 1} is"
        which = "columns {} and {} are".format(*(at + 1 for at in columns)) if reading.inflected else first
        report(f"{path}: lines have {width} columns, of which {which} read")
    if dictionary:
        report(f"{path}: a pronouncing dictionary with blanks, of which the words are read")
    skipped = _beside(path, content, heading, mark, report)

    def text(number: int, line: bytes) -> str:
        if not line or number in skipped or not (decoded := trimmed(decode_line(line))):
            return ""
        if dictionary:
            return _word(decoded)
        cells = _cells(decode_line(line), mark)
        if not columns or (max(columns) >= len(cells) and (reading.inflected or len(cells) == 1)):
            if reading.inflected:
                raise ValueError("a lemma without features (no TAB in the line)")
            return decoded
        if not all(trimmed(cells[column]) for column in columns if column < len(cells)):
            raise ValueError("empty source")
        if max(columns) >= len(cells):
            raise ValueError(f"{len(cells)} columns found, and column {columns[0] + 1} is read")
        return "\t".join(trimmed(cells[column]) for column in columns)

    hint = _INFLECTED if reading.inflected else _HINT
    numbered = list(enumerate(content, 1))
    parsed = parse_entries(path, numbered, text, hint, reading.on_bad, report, lines=True)
    return [parsed.get(number, "") for number, _ in numbered]


# Lines of the file that are no data: they are answered by blank lines.
def _beside(
    path: Path, content: Sequence[bytes], heading: Sequence[str] | None, mark: str, report: Report
) -> set[int]:
    first = [trimmed(line.decode("utf-8", "replace")) for line in content[:2]]
    separator = 1 if is_separator(first[0]) else 0
    skipped = {1} if separator else set()
    if heading and len(first) > separator and _cells(first[separator], mark) == [*heading]:
        skipped.add(separator + 1)
        report(f"{path}:{separator + 1}: the heading is answered by a blank line")
    return skipped


def _heading(rows: Sequence[Sequence[str]], reading: Reading) -> Sequence[str] | None:
    names = [part.strip().casefold() for part in (reading.columns or "").split(",")]
    first = [cell.strip().casefold() for cell in rows[0]]
    named = bool(names[0]) and not names[0].isdecimal() and set(names) <= set(first)
    return rows[0] if named or is_heading(rows[0]) else None


# The column that the run's own table had, or that the heading says, or the first (the last of a run that
# goes back).
def _source_column(rows: Sequence[Sequence[str]], heading: Sequence[str] | None, reading: Reading) -> int:
    width = max(map(len, rows))
    for wanted in dict.fromkeys((reading.columns, None)):
        try:
            found = chosen_columns(heading, width, wanted)
        except UsageError:  # it is another table
            continue
        if found is not None:
            return found[-1] if reading.reverse else found[0]
    return width - 1 if reading.reverse else 0


def _word(text: str) -> str:
    if text.startswith(";;;") or not (words := without_comment(text).split(None, 1)):
        return ""
    match = _NUMBERED.fullmatch(words[0])
    return match[1] if match else words[0]


def _cells(text: str, mark: str) -> list[str]:
    return cells_of(text, mark) if len(mark) == 1 and mark != "\t" else text.split(mark)


# The columns of lemma and features, whose order differs from year to year.
def _lemma_and_features(rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    if not (three := [row for row in rows if len(row) == 3]):
        return (0, 1)
    features, _ = features_column(three)
    return (1 if features == 0 else 0, 1 if features is None else features)
