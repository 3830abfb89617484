"""What kind of list the lines of a file are, told by what most of them have, and never by the file's name.

pairs        source TAB target
csv          the same as a table with commas or semicolons, and quotes where they are needed
lexicon      a word, TAB or blank, its phones: CMUdict (`word(2)`, `# comment`), MFA and Kaldi dictionaries,
             whose probabilities stand between the two; HTK's, which have `[OUTPUT]` there
inflection   lemma, features and form in any order that SIGMORPHON had, 2016 to 2023
bars         source ||| target, as for fast_align
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from hardpp.data.csv_cells import rows_of
from hardpp.data.transduction.answer_cells import are_slashed
from hardpp.data.transduction.columns import chosen_columns, features_column, is_heading
from hardpp.data.transduction.markup import refuse_markup, separating_mark
from hardpp.errors import DataError

Format = Literal["auto", "tsv", "csv", "lexicon", "inflection", "bars", "parallel"]
BARS = "|||"

_MARKS = {",": "commas", ";": "semicolons", "|": "bars", "\t": "TABs"}
_CLEAR = 0.9  # the share of rows that are alike in a CSV file
_SAMPLE = 20_000  # lines that are looked at
_FEW = 0.1  # the share of lines that may be otherwise in a lexicon
_COMMENT = re.compile(r"(?:^|\s+)#.*")
_QUOTED = re.compile(r'".*"\t".*"')
_HASH = re.compile(r"#\S+(?:\s+[A-Z]{1,2}[0-2]?)+")  # CMUdict says #HASH-MARK, too
_OUTPUT = re.compile(r"\[[^\s\[\]]*\]")  # what HTK prints for a word
_SEPARATOR = re.compile(r"sep=.")  # Excel's first line
_NUMBER = re.compile(r"\d*\.?\d+(?:e-?\d+)?", re.IGNORECASE)


class Dialect(NamedTuple):
    """How the lines of a list are read."""

    kind: str = "pairs"
    separator: str = "\t"  # between columns; "" where white space is
    quoted: bool = False  # may quotes stand around fields?
    width: int = 2  # columns
    columns: tuple[int, ...] = (0, 1)  # of source and target; of lemma, features and form
    heading: tuple[str, ...] = ()  # the first line, if it is no pair
    numbers: int = 0  # that stand between a word and its phones
    features: str = ""  # what stands between features
    outputs: bool = False  # does [OUTPUT] stand between a word and its phones?
    slashed: bool = False  # are targets answers between slashes?

    def __str__(self) -> str:
        """What it is, in words."""
        mark = _MARKS.get(self.separator, "blanks")
        if self.kind == "bars":
            return f"parallel text, source {BARS} target"
        if self.kind == "lexicon":
            numbers = f", {self.numbers} number{'s' * (self.numbers > 1)} passed over" if self.numbers else ""
            numbers += ", [OUTPUT] passed over" if self.outputs else ""
            return f"a pronouncing dictionary, word and phones with {mark} between them{numbers}"
        if self.kind == "inflection":
            order = sorted(zip(self.columns, ("lemma", "features", "form"), strict=True))
            return f"inflections, {', '.join(name for _, name in order)} with {mark} between them"
        if self == Dialect(heading=self.heading):
            return "pairs, source TAB target"
        source, target = (column + 1 for column in self.columns)
        what = f"a table with {mark}, sources in column {source} and targets in column {target}"
        answers = f"{what}, right answers between slashes; data.format=tsv takes targets as they are"
        return answers if self.slashed else what


def sampled(lines: Iterable[bytes], count: int) -> list[str]:
    """Of so many lines those from all over a file, as text, without such as are blank, no UTF-8, or `;;;`."""
    return [
        text
        for text in (line.decode("utf-8", "replace") for line in islice(lines, 0, None, 1 + count // _SAMPLE))
        if text.strip() and "\ufffd" not in text and not text.startswith(";;;") and not is_separator(text)
    ]


def detect(texts: Sequence[str], wanted: Format = "auto", columns: str | None = None) -> Dialect:
    """Tell how lines are read.

    Args:
        texts: Lines, as `sampled` gives them, of all files that are read in one way.
        wanted: "auto", or the kind of list that it is said to be.
        columns: Which columns of a table are meant, as `chosen_columns` takes it; None where that is clear.

    Raises:
        DataError: Two ways are as likely, and the message names the setting that decides.
        UsageError: There are no such columns.
    """
    if wanted == "tsv" and columns is None:
        return Dialect()
    if wanted == "auto":
        refuse_markup(texts, "source, TAB, target, or data.format=tsv takes the lines as they are")
    if wanted == "bars" or (wanted == "auto" and _most(texts, lambda text: BARS in text)):
        return _bars(texts, columns)
    if wanted == "lexicon":
        separator = "\t" if _most(texts, lambda text: "\t" in text) else ""
        return _lexicon(texts, separator)
    tabs = _most(texts, lambda text: "\t" in text)
    quoted = not tabs or _most(texts, lambda text: _QUOTED.fullmatch(text) is not None)
    separator = "\t" if tabs else _csv_separator(texts, sure=wanted == "csv")
    if wanted in ("tsv", "csv", "inflection") or separator:
        separator = separator or "\t"
        rows = rows_of(texts, separator) if quoted else [t.split("\t") for t in texts]
        found = _table(texts, rows, separator, columns)._replace(quoted=quoted)
        if wanted == "inflection" and found.kind != "inflection":
            what = "no column holds features such as V;PST"
            raise DataError(what, "data.columns says which columns are lemma, features, form")
        return found
    if not is_lexicon(texts):
        return Dialect()
    if mark := separating_mark(texts):
        what = f"most lines have {mark!r} between a word and its phones"
        raise DataError(what, f"write a TAB in its place; data.format=lexicon takes {mark!r} for a symbol")
    return _lexicon(texts, "")


def without_comment(text: str) -> str:
    """A line without `# comment` at its end; blank if that is all of it."""
    return text if _HASH.fullmatch(text.rstrip()) else _COMMENT.sub("", text)


def without_output(phones: str) -> str:
    """What stands after a word, without the [OUTPUT] that HTK has before phones."""
    first, _, rest = phones.lstrip().partition(" ")
    return rest.lstrip() if _OUTPUT.fullmatch(first) and rest.strip() else phones


def is_separator(text: str) -> bool:
    """Is it the line by which Excel knows what stands between columns?"""
    return _SEPARATOR.fullmatch(text.strip("\r\ufeff")) is not None


def is_number(text: str) -> bool:
    """Is it a number without a sign?"""
    return _NUMBER.fullmatch(text) is not None


def _most(texts: Sequence[str], test: Callable[[str], bool]) -> bool:
    return 2 * sum(map(test, texts)) > len(texts)


def _bars(texts: Sequence[str], columns: str | None) -> Dialect:
    cells = [text.split(BARS) for text in texts if BARS in text]
    (width, _), *_ = Counter(map(len, cells)).most_common() or [(2, 0)]
    found = chosen_columns(None, width, columns) if columns is not None else (0, 1)
    if found is None or len(found) != 2 or (columns is None and width != 2):
        what = (
            f"lines have {width} columns ({', '.join(cell.strip() for cell in cells[0])}), and 2 are wanted"
        )
        raise DataError(what, "data.columns=2,3 would take the second and the third")
    return Dialect("bars", BARS, width=width, columns=found)


def _table(texts: Sequence[str], rows: list[list[str]], separator: str, columns: str | None) -> Dialect:
    rows = [row for row in rows if len(row) > 1]
    if not rows:
        return Dialect()
    (width, _), *_ = Counter(map(len, rows)).most_common()
    named = columns is not None and not columns[:1].isdecimal()
    heading = tuple(rows[0]) if len(rows[0]) == width and (named or is_heading(rows[0], rows[1:])) else ()
    body = [row for row in rows[bool(heading) :] if len(row) == width]
    table = Dialect(separator=separator, width=width, heading=heading)
    if columns is None and width == 2:
        return _with_customs(table, texts, body) if separator == "\t" else table
    feature, mark = features_column(body)
    if columns is None and width == 3 and feature is not None:
        lemma, form = (column for column in range(3) if column != feature)
        return table._replace(kind="inflection", columns=(lemma, feature, form), features=mark)
    numeric = [width > 2 and all(map(is_number, row[1:-1])) for row in body]
    if columns is None and separator == "\t" and 2 * sum(numeric) > len(numeric):
        return Dialect("lexicon", separator, numbers=width - 2)
    found = chosen_columns(heading, width, columns)
    if found is None:
        what = f"lines have {width} columns ({', '.join(rows[0])}), and 2 are wanted"
        hint = "data.columns=1,3 would take the first and the third; data.columns=1,2,3 lemma, features, form"
        raise DataError(what, hint)
    if len(found) == 3:
        _, mark = features_column([[row[found[1]]] for row in body])
        return table._replace(kind="inflection", columns=found, features=mark or ";")
    return table._replace(columns=found)


# Pairs, or what CMUdict or MFA make of them.
def _with_customs(pairs: Dialect, texts: Sequence[str], body: list[list[str]]) -> Dialect:
    targets = [row[1].split() for row in body]
    first = [float(target[0]) for target in targets if target and is_number(target[0])]
    if _numbers(targets) and max(first) <= 1:
        what = "targets begin with a number in most lines, which may be a probability"
        raise DataError(what, "data.format=lexicon passes it over, data.format=tsv takes it as it is")
    remarks = any(text.startswith("#") and "\t" not in text for text in texts)
    if remarks or _has_comments([row[1] for row in body]):
        return pairs._replace(kind="lexicon")
    return pairs._replace(slashed=are_slashed([row[1] for row in body]))


def _lexicon(texts: Sequence[str], separator: str) -> Dialect:
    rows = [row for text in texts if (row := without_comment(text).split())]
    outputs = 2 * sum(len(row) > 2 and _OUTPUT.fullmatch(row[1]) is not None for row in rows) > len(rows)
    numbers = _numbers([without_output(" ".join(row[1:])).split() if outputs else row[1:] for row in rows])
    return Dialect("lexicon", separator, numbers=numbers, outputs=outputs)


# How many probabilities come before the phones.
def _numbers(rows: list[list[str]]) -> int:
    leading = Counter(
        next((count for count, cell in enumerate(row) if not is_number(cell)), len(row))
        if row and "." in row[0]
        else 0
        for row in rows
    )
    count = leading.most_common(1)[0][0] if leading else 0
    return count if any(len(row) > count for row in rows) else 0


# What follows # is a comment where its words are no symbols of the other lines.
def _has_comments(targets: list[str]) -> bool:
    marked = [target for target in targets if _COMMENT.search(target)]
    if not marked or 2 * len(marked) > len(targets):
        return False
    known = {symbol for target in targets for symbol in without_comment(target).split()}
    words = [word for target in marked for word in target.partition("#")[2].replace("#", " ").split()]
    share = sum(word in known for word in words) / max(1, len(words))
    if 0.4 < share < 0.9:
        what = f"what follows # in {len(marked)} of {len(targets)} lines may be comments or symbols"
        raise DataError(what, "data.format=lexicon takes it for comments, data.format=tsv for symbols")
    return share < 0.5


def _csv_separator(texts: Sequence[str], *, sure: bool) -> str:
    shares = {}
    for separator in (";", ",", "|"):
        rows = [row for row in rows_of(texts, separator) if row]
        (width, count), *_ = Counter(map(len, rows)).most_common() or [(0, 0)]
        shares[separator] = count / max(1, len(rows)) if width > 1 else 0.0
    best = max(shares, key=lambda separator: shares[separator])
    return best if shares[best] >= (0.01 if sure else _CLEAR) else ""


def is_lexicon(texts: Sequence[str]) -> bool:
    """Do words stand before phones, which are short, and no words?"""
    rows = [row for text in texts if (row := without_comment(text).split())]
    rows = [[row[0], *without_output(" ".join(row[1:])).split()] for row in rows]
    phones = {phone for row in rows for phone in row[1:] if not is_number(phone)}
    short = sum(len(phone) <= 3 for phone in phones)
    alone = sum(len(row) < 2 or row[0] in phones for row in rows)
    return bool(phones) and alone <= 2 * _FEW * len(rows) and short >= (1 - _FEW) * len(phones)
