"""A user's own pairs in one file, or in three that are its parts, whatever they are called.

How lines are read is told by what they hold (`hardpp.data.transduction.dialects`), and said. One file is
split by `bucket` of the source text. Nothing is skipped in silence: a bad line is refused with its number, or
left out and reported.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from hardpp.data.lines import OnBad, Report, read_lines
from hardpp.data.parts import PARTS
from hardpp.data.streamed_lines import stream_lines
from hardpp.data.transduction.dialects import Dialect, Format, detect, sampled
from hardpp.data.transduction.list_lines import is_variant, parse_list, pool_variants
from hardpp.data.transduction.list_parts import list_parts, parts_beside
from hardpp.data.transduction.pairing import part_of_line, split_lines
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.data.transduction.shards import sharded_parts
from hardpp.data.transduction.streamed_pairs import StreamedPairs, Unstreamable
from hardpp.errors import DataError, UsageError

_NAMED = 4  # files in one message
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
        files = self.files(path)
        found, dialect = self._read(list(files.values()))
        parts = dict(zip(files, found, strict=True))
        if "" in parts:
            parts = split_lines(parts[""], path, _OWN_SPLIT, self.fold)
        sentences = dialect.kind == "bars"
        return Bitext.of_lines(_name(path), parts, sentences=sentences, features=dialect.features)

    def lines(self, path: Path | str) -> list[Line]:
        """Read every line of one file, in order."""
        (found,), _ = self._read([[Path(path)]])
        return found

    def files(self, path: Path) -> dict[str, list[Path]]:
        """The files of each part; one file, which is split by itself, is that of the part ""."""
        if not path.exists() or path.is_dir():
            if shards := sharded_parts(path):
                return shards
            if parts := list_parts(path, self.report):
                return {part: [parts[part]] for part in PARTS}
        if beside := parts_beside(path):
            self.report(f"{path}: split by itself; --data {beside} would take the files beside it as parts")
        return {"": [path]}

    def streamed(self, path: Path) -> StreamedPairs:
        """The same pairs as those of `bitext`, one by one.

        Raises:
            Unstreamable: when they are read: words have numbers, as `read(2)`, that may mean nothing.
        """
        files, texts = self.files(path), list[str]()
        for of_part in files.values():
            count = sum(1 for file in of_part for _ in stream_lines(file))
            texts += sampled((line for file in of_part for line in stream_lines(file)), count)
        dialect = self._dialect([file for of_part in files.values() for file in of_part], texts)
        readers = {part: [partial(self._stream, file, dialect) for file in files[part]] for part in files}
        about = {"sentences": dialect.kind == "bars", "features": dialect.features}
        split = partial(part_of_line, fold=self.fold)
        return StreamedPairs(_name(path), readers, split, path, _OWN_SPLIT, **about)  # type: ignore[arg-type]

    def _stream(self, file: Path, dialect: Dialect) -> Iterator[Line]:
        pools = self._pools(dialect)
        for line in parse_list(file, stream_lines(file), dialect, self._literal, self.on_bad, self.report):
            if pools and is_variant(line.pair.source):
                raise Unstreamable(f"{line.places[0]}: {line.pair.source}")
            yield line

    # Is nothing a comment or a heading?
    @property
    def _literal(self) -> bool:
        return self.format == "tsv"

    def _pools(self, dialect: Dialect) -> bool:
        return not self._literal and dialect.kind not in ("bars", "inflection")

    # What files are, by lines from all over them.
    def _dialect(self, paths: Sequence[Path], texts: Sequence[str]) -> Dialect:
        try:
            dialect = self._detected(texts)
        except DataError as error:
            hint = "bring a list of source, TAB, target" if self.asked else error.hint
            raise DataError(f"{paths[0]}: {error}", hint) from error
        if not self._literal and (dialect != Dialect() or any("\t" in text for text in texts)):
            more = f", ... {paths[-1].name}" if len(paths) > _NAMED else ""
            names = ", ".join(path.name for path in paths[1:_NAMED]) + more
            self.report(f"{paths[0]}{names and f' ({names})'}: read as {dialect}")
        return dialect

    def _detected(self, texts: Sequence[str]) -> Dialect:
        try:
            return detect(texts, self.format, self.columns)
        except UsageError:
            if not self.asked:
                raise
            return detect(texts, self.format)

    def _read(self, parts: Sequence[Sequence[Path]]) -> tuple[list[list[Line]], Dialect]:
        contents = [[read_lines(path, "lines of source, TAB, target") for path in paths] for paths in parts]
        paths = [path for of_part in parts for path in of_part]
        texts = [
            text
            for of_part in contents
            for text in sampled(chain.from_iterable(of_part), sum(map(len, of_part)))
        ]
        dialect = self._dialect(paths, texts)
        found = [
            [
                line
                for path, content in zip(of_part, lines, strict=True)
                for line in parse_list(path, content, dialect, self._literal, self.on_bad, self.report)
            ]
            for of_part, lines in zip(parts, contents, strict=True)
        ]
        if not self._pools(dialect):
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


# What the pairs of a path are called.
def _name(path: Path) -> str:
    return path.stem if path.exists() and not path.is_dir() else path.resolve().name
