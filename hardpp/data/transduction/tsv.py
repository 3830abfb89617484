"""A user's own pairs: lines of source, TAB, target.

The path is one file, split by `bucket` of the source text, or a folder with train.tsv, dev.tsv and
test.tsv. How lines end, see `hardpp.data.lines`; blanks (spaces) around a field are dropped. Nothing is
skipped in silence: a bad line is refused with its number, or left out and reported.
"""

from collections.abc import Callable
from pathlib import Path

from hardpp.data.lines import OnBad, Place, decode_line, parse_lines
from hardpp.data.parts import PARTS
from hardpp.data.transduction.pairing import split_lines
from hardpp.data.transduction.pairs import Bitext, Line, TextPair
from hardpp.errors import DataError

_HINT = "every line is source, TAB, target in UTF-8; a run with --on-bad skip leaves bad ones out"
_OWN_SPLIT = "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself"


def bitext(
    path: Path | str, *, on_bad: OnBad = "stop", report: Callable[[str], None] = lambda text: None
) -> Bitext:
    """Read texts from a file or from a folder of three files.

    Args:
        path: A file, or a folder with train.tsv, dev.tsv and test.tsv; UTF-8, with or without a BOM.
        on_bad: What happens to bad lines: "stop", or "skip" to leave them out.
        report: Told what was left out.

    Raises:
        DataError: The path is missing or empty, a folder lacks a part, a part is empty, or lines are
            bad (no TAB, further columns, an empty side, NUL, not UTF-8); the message names file:line.
    """
    path = Path(path)
    if path.is_dir():
        parts = _folder(path, on_bad, report)
    else:
        parts = split_lines(lines(path, on_bad=on_bad, report=report), path, _OWN_SPLIT)
    return Bitext.of_lines(path.resolve().name if path.is_dir() else path.stem, parts, sentences=False)


def _folder(path: Path, on_bad: OnBad, report: Callable[[str], None]) -> dict[str, list[Line]]:
    missing = [f"{name}.tsv" for name in PARTS if not (path / f"{name}.tsv").exists()]
    if missing:
        raise DataError(
            f"{path}: the folder lacks {', '.join(missing)}", "it needs train.tsv, dev.tsv and test.tsv"
        )
    return {name: lines(path / f"{name}.tsv", on_bad=on_bad, report=report) for name in PARTS}


def lines(
    path: Path | str, *, on_bad: OnBad = "stop", report: Callable[[str], None] = lambda text: None
) -> list[Line]:
    """Read every line of one file, in order; the arguments are those of `bitext`.

    Raises:
        DataError: as for `bitext`.
    """
    path = Path(path)

    def line(number: int, content: bytes) -> Line:
        return Line(_fields(content), (Place(path, number), Place(path, number)))

    return parse_lines(path, line, "lines of source, TAB, target", _HINT, on_bad, report)


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
            raise ValueError(f"{side} holds only blanks" if column else f"empty {side}")
    return TextPair(columns[0].strip(" "), columns[1].strip(" "))
