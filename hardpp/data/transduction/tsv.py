"""A user's own pairs: lines of source, TAB, target.

The path is one file, split by `bucket` of the source text, or a folder with train.tsv, dev.tsv and
test.tsv. How lines end, see `hardpp.data.lines`; blanks (spaces) around a field are dropped. Nothing is
skipped in silence: a bad line is refused with its number, or left out and reported.
"""

from pathlib import Path

from hardpp.data.lines import Blank, OnBad, Place, Report, decode_line, parse_lines
from hardpp.data.parts import PARTS
from hardpp.data.transduction.pairing import split_lines
from hardpp.data.transduction.pairs import Bitext, Line, TextPair
from hardpp.errors import DataError

_HINT = "every line is source, TAB, target in UTF-8; a run with --on-bad skip leaves bad ones out"
_HEADINGS = {
    *("source", "target", "src", "tgt", "input", "output", "text", "sentence", "translation", "tokens"),
    *("word", "words", "letters", "grapheme", "graphemes", "phone", "phones", "phoneme", "phonemes"),
    *("spelling", "pronunciation"),
}
_OWN_SPLIT = "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself"


def bitext(path: Path | str, *, on_bad: OnBad = "stop", report: Report = lambda text: None) -> Bitext:
    """Read texts from a file or from a folder of three files.

    A line is bad that has no TAB, further columns, an empty side or NUL, or that is not UTF-8.
    """
    path = Path(path)
    if not path.is_dir():
        parts = split_lines(lines(path, on_bad=on_bad, report=report), path, _OWN_SPLIT)
        return Bitext.of_lines(path.stem, parts, sentences=False)
    files = {part: path / f"{part}.tsv" for part in PARTS}
    if missing := [file.name for file in files.values() if not file.exists()]:
        raise DataError(
            f"{path}: the folder lacks {', '.join(missing)}", "it needs train.tsv, dev.tsv and test.tsv"
        )
    parts = {part: lines(file, on_bad=on_bad, report=report) for part, file in files.items()}
    return Bitext.of_lines(path.resolve().name, parts, sentences=False)


def lines(path: Path | str, *, on_bad: OnBad = "stop", report: Report = lambda text: None) -> list[Line]:
    """Read every line of one file, in order; bad lines are those of `bitext`."""
    path = Path(path)

    def line(number: int, content: bytes) -> Line:
        return Line(_fields(content), (Place(path, number), Place(path, number)))

    found = parse_lines(path, line, "lines of source, TAB, target", _HINT, on_bad, report)
    first = found[0]
    if first.places[0].number == 1 and all(side.casefold() in _HEADINGS for side in first.pair):
        sides = " and ".join(map(repr, first.pair))
        report(
            f"warning: {path}:1: {sides} look like headings, and are taken for a pair: delete the line if so"
        )
    return found


def _fields(line: bytes) -> TextPair:
    # A ValueError says what is wrong with the line; the caller knows its number.
    text = decode_line(line)
    columns = text.split("\t")
    if len(columns) == 1:
        raise ValueError("missing target column (no TAB in the line)")
    if len(columns) > 2:
        raise ValueError(f"{len(columns)} columns found where 2 are wanted")
    for side, column in zip(("source", "target"), columns, strict=True):
        if not column.strip():
            raise Blank(f"{side} holds only blanks" if column else f"empty {side}")
    return TextPair(columns[0].strip(" "), columns[1].strip(" "))
