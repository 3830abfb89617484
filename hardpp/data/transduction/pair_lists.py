"""A user's own pairs in one file, or in three that are its parts, whatever they are called.

How lines are read is told by what they hold (`hardpp.data.transduction.dialects`), and said. One file is
split by `bucket` of the source text. Nothing is skipped in silence: a bad line is refused with its number, or
left out and reported.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from hardpp.data.lines import OnBad, Report, read_lines
from hardpp.data.parts import PARTS
from hardpp.data.transduction.dialects import Dialect, Format, detect, sampled
from hardpp.data.transduction.list_lines import parse_list, pool_variants
from hardpp.data.transduction.list_parts import list_parts, parts_beside
from hardpp.data.transduction.pairing import split_lines
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.errors import DataError, UsageError

_OWN_SPLIT = "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself"


class ListOfPairs:
    """Reads lists; what is said of one reading goes for all of its files.

    Args:
        format: "auto", or what kind of list it is.
        columns: Which columns of a table are meant: `hardpp.data.transduction.columns.chosen_columns`.
        fold: What makes one of sources that count as the same: they fall into one part.
        on_bad: What happens to a line that has no TAB, further columns, an empty side or NUL, or is no UTF-8.
        report: Told what the files were taken for, and what was left out.
        asked: A run is asked about them: `columns` are those of the table that it was trained on, and go for
            tables that have them.
    """

    def __init__(
        self,
        format: Format = "auto",
        columns: str | None = None,
        fold: Callable[[str], str] = str,
        on_bad: OnBad = "stop",
        report: Report = lambda text: None,
        asked: bool = False,
    ):
        self.format, self.columns, self.fold = format, columns, fold
        self.on_bad, self.report, self.asked = on_bad, report, asked

    def bitext(self, path: Path | str) -> Bitext:
        """Read a file, a folder with a file for each part, or three files by the beginning of their names."""
        path = Path(path)
        if (path.exists() and not path.is_dir()) or not (files := list_parts(path, self.report)):
            if beside := parts_beside(path):
                self.report(
                    f"{path}: split by itself; --data {beside} would take the files beside it as parts"
                )
            lines, dialect = self._read([path])
            parts = split_lines(lines[0], path, _OWN_SPLIT, self.fold)
            name = path.stem
        else:
            found, dialect = self._read([files[part] for part in PARTS])
            parts = dict(zip(PARTS, found, strict=True))
            name = path.resolve().name
        sentences = dialect.kind == "bars"
        return Bitext.of_lines(name, parts, sentences=sentences, features=dialect.features)

    def lines(self, path: Path | str) -> list[Line]:
        """Read every line of one file, in order."""
        (found,), _ = self._read([Path(path)])
        return found

    def _dialect(self, texts: Sequence[str]) -> Dialect:
        try:
            return detect(texts, self.format, self.columns)
        except UsageError:
            if not self.asked:
                raise
            return detect(texts, self.format)

    def _read(self, paths: Sequence[Path]) -> tuple[list[list[Line]], Dialect]:
        contents = [read_lines(path, "lines of source, TAB, target") for path in paths]
        try:
            texts = [text for content in contents for text in sampled(content)]
            dialect = self._dialect(texts)
        except DataError as error:
            hint = "bring a list of source, TAB, target" if self.asked else error.hint
            raise DataError(f"{paths[0]}: {error}", hint) from error
        literal = self.format == "tsv"
        if not literal and (dialect != Dialect() or any("\t" in text for text in texts)):
            names = ", ".join(path.name for path in paths[1:])
            self.report(f"{paths[0]}{names and f' ({names})'}: read as {dialect}")
        found = [
            parse_list(path, content, dialect, literal, self.on_bad, self.report)
            for path, content in zip(paths, contents, strict=True)
        ]
        if literal or dialect.kind in ("bars", "inflection"):
            return found, dialect
        together = [line for lines in found for line in lines]
        pooled = [pool_variants(lines, together) for lines in found]
        if variants := [word for _, numbered in pooled for word in numbered]:
            sources = (
                f"{variants[0]!r}{' is' if len(variants) == 1 else f' and {len(variants) - 1} more are'}"
            )
            what = f"{sources} taken for further lines of the word before the number"
            self.report(f"{paths[0]}: {what}; data.format=tsv keeps them apart")
        return [lines for lines, _ in pooled], dialect
