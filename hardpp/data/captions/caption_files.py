"""Files of captions in the forms they are handed out in, known by what is in them.

    NAME.jpg#0<TAB>A child in a pink dress .            lines (Flickr8k, Flickr30k)
    image,caption                                       a table with a heading, of , | ; or TABs (Kaggle)
    image_name| comment_number| comment                 the same with other columns (Flickr30k)
    NAME.jpg<TAB>A child in a pink dress .              lines without a heading, TABs or commas
    {"images": [...], ...}                              JSON, see `hardpp.data.captions.caption_json`

A caption belongs to the picture whose file is called NAME, which may have folders before it.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardpp.data.captions.caption_json import CAPTION, IMAGE, Listed, is_caption_json, read_caption_json
from hardpp.data.captions.captioned import words_of
from hardpp.data.csv_cells import cells_of
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.lines import BOMS_UTF16, BadLine, OnBad, Report, read_text, report_bad
from hardpp.errors import DataError

_LINES = (".txt", ".csv", ".tsv", ".token", "")
_FIRST = 2**16  # bytes that tell what a file is
_SEPARATORS = ("\t", "|", ",", ";")
_COUNT = {2: "two", 3: "three"}
_HINT = "leave such lines out with --on-bad skip"


def read_text_lines(path: Path) -> list[str]:
    """Read the lines of a file."""
    # Not splitlines, which cuts at signs that stand inside captions.
    return read_text(path).replace("\r\n", "\n").split("\n")


def is_caption_file(path: Path) -> bool:
    """Whether a file holds captions in one of the forms."""
    if path.suffix.lower() in (".json", ".jsonl"):
        return is_caption_json(path)
    return path.suffix.lower() in _LINES and _form(_first_lines(path)) is not None


def read_caption_file(path: Path, on_bad: OnBad, report: Report) -> list[Listed]:
    """Read the captions of a file, which are not blank, in its order.

    Args:
        path: The file.
        on_bad: "stop" at a line that is wrong, or "skip" it.
        report: Told what is left out.
    """
    if path.suffix.lower() in (".json", ".jsonl"):
        return read_caption_json(path, on_bad, report)
    lines = read_text_lines(path)
    form = _form([line for line in lines[:100] if line.strip()])
    if form is None:
        raise DataError(f"{path}: no captions in a form that is read", "image,caption is a heading that is")
    bad: list[BadLine] = []
    if form == "#":
        found = list(_tokens(path, lines, bad))
    else:
        found = list(_rows(path, lines, form, bad))
    report_bad(bad, on_bad, report, _HINT)
    return found


def _first_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST)
    except OSError:
        return []
    if first.startswith(BOMS_UTF16):
        return [line for line in read_text_lines(path)[:100] if line.strip()]
    if b"\0" in first:
        return []
    whole = first if len(first) < _FIRST else first[: first.rfind(b"\n") + 1]
    lines = whole.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()][:100]


# "#" of lines with a number of the caption, else what separates the columns; None of another file.
def _form(lines: Sequence[str]) -> str | None:
    if not lines:
        return None
    first, *_ = lines
    for separator in _SEPARATORS:
        if separator in first and _columns(_cells(first, separator)) is not None:
            return separator
    names = [line.partition("\t")[0] for line in lines]
    if sum("#" in name and _is_name(name.rpartition("#")[0]) for name in names) * 2 > len(names):
        return "#"
    for separator in ("\t", ","):
        split = [_cells(line, separator) for line in lines]
        said = [cells[1] for cells in split if len(cells) == 2 and _is_name(cells[0])]
        if len(said) * 2 > len(lines) and sum(len(words_of(text)) > 1 for text in said) * 2 > len(said):
            return separator  # not labels, which have one word
    return None


def _is_name(text: str) -> bool:
    return text.strip().lower().endswith(ENDINGS)


def _cells(line: str, separator: str) -> list[str]:
    return cells_of(line, separator) if separator in ",;" else line.split(separator)


# Which columns are the picture and the caption, by a heading; None if it is none.
def _columns(cells: Sequence[str]) -> tuple[int, int] | None:
    names = [cell.strip().lower() for cell in cells]
    images = [place for place, name in enumerate(names) if name in IMAGE]
    captions = [place for place, name in enumerate(names) if name in CAPTION]
    return (images[0], captions[0]) if images and captions else None


def _tokens(path: Path, lines: Sequence[str], bad: list[BadLine]) -> Iterator[Listed]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        name, mark, _ = key.rpartition("#")
        if tab and mark and name:
            yield Listed(name, text, f"{path}:{number}")
        else:
            bad.append(BadLine(path, number, "NAME.jpg#NUMBER, a tab and a caption are wanted"))


def _rows(path: Path, lines: Sequence[str], separator: str, bad: list[BadLine]) -> Iterator[Listed]:
    first = next(line for line in lines if line.strip())
    heading = _columns(_cells(first, separator))
    width = len(_cells(first, separator)) if heading else 2
    image, caption = heading or (0, 1)
    for number, cells in _split(path, lines, separator, width, caption):
        if heading and cells == _cells(first, separator):
            heading = None  # once
        elif len(cells) != width:
            what = f"{_COUNT.get(width, width)} columns are wanted, found {len(cells)}"
            quoted = "; a caption with commas stands in quotes" if separator == "," else ""
            bad.append(BadLine(path, number, what + (quoted if len(cells) > width else "")))
        elif not cells[image].strip():
            bad.append(BadLine(path, number, "the name of a picture is wanted"))
        else:
            yield Listed(cells[image].strip(), cells[caption].strip(), f"{path}:{number}")


# The cells of each line that is not blank, with its number. What is quoted may go on in the next line, where
# commas separate; elsewhere quotes are data, and a caption in the last column may have separators in it.
def _split(
    path: Path, lines: Sequence[str], separator: str, width: int, caption: int
) -> Iterator[tuple[int, list[str]]]:
    if separator not in ",;":
        most = width - 1 if caption == width - 1 else -1
        yield from ((n, line.split(separator, most)) for n, line in enumerate(lines, 1) if line.strip())
        return
    reader = csv.reader(io.StringIO("\n".join(lines)), strict=True, delimiter=separator)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error
