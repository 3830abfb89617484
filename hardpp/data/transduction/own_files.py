"""Which reader a user's own text is for: told by what files hold, and by how those beside them are called.

lists      pairs in one file, or in three that are its parts (`pair_lists`)
parallel   a file for each language (`parallel`)
iwslt      raw talks of IWSLT (`iwslt`)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hardpp.data.lines import OnBad, Report, split_lines
from hardpp.data.streamed_lines import can_be_streamed
from hardpp.data.transduction import iwslt, parallel
from hardpp.data.transduction.dialects import BARS, Format, sampled
from hardpp.data.transduction.list_parts import sets_in
from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.data.transduction.shards import sharded_parts
from hardpp.data.transduction.streamed_pairs import StreamedPairs

Layout = Literal["lists", "parallel", "iwslt"]

_MOST_BYTES = 50_000  # of a file that are looked at


class OwnFiles(NamedTuple):
    """How a user's own files are read."""

    format: Format = "auto"
    columns: str | None = None  # of a table
    source: str | None = None  # the language of parallel text
    target: str | None = None
    fold: Callable[[str], str] = str  # what makes one of sources that count as the same
    on_bad: OnBad = "stop"
    report: Report = lambda text: None
    asked: bool = False  # are these other files than a run was trained on, with other columns perhaps?

    def bitext(self, path: Path) -> Bitext:
        """Read the three parts of a file, a folder, or files whose names begin so."""
        found = layout(path, self.format)
        if found == "lists":
            return self._lists().bitext(path)
        how: dict[str, Any] = {"source": self.source, "target": self.target}
        how |= {"on_bad": self.on_bad, "report": self.report}
        if found == "iwslt":
            return iwslt.bitext(path, **how)
        return parallel.bitext(path, **how, fold=self.fold)

    def paths(self, path: Path) -> list[Path]:
        """The files that `streamed` reads; none where the pairs can only be read all at once."""
        found = layout(path, self.format)
        if found == "iwslt":
            return []
        if found == "lists":
            files = self._replace(report=_nothing)._lists().files(path)
            paths = [file for of_part in files.values() for file in of_part]
        else:
            paths = [
                file for pair in parallel.files_of(path, self.source, self.target).values() for file in pair
            ]
        return paths if all(map(can_be_streamed, paths)) else []

    def streamed(self, path: Path) -> StreamedPairs:
        """The pairs of `bitext` one by one, where `paths` has some."""
        if layout(path, self.format) == "lists":
            return self._lists().streamed(path)
        how: dict[str, Any] = {"source": self.source, "target": self.target, "fold": self.fold}
        return parallel.streamed(path, on_bad=self.on_bad, report=self.report, **how)

    def lines(self, path: Path) -> list[Line]:
        """Read every line of a file or pair of files, in order."""
        if layout(path, self.format) == "lists":
            return self._lists().lines(path)
        languages = {"source": self.source, "target": self.target}
        return parallel.lines(path, **languages, on_bad=self.on_bad, report=self.report)

    def _lists(self) -> ListOfPairs:
        return ListOfPairs(self.format, self.columns, self.fold, self.on_bad, self.report, self.asked)


def _nothing(text: str) -> None:
    return


def layout(path: Path, format: Format = "auto") -> Layout:
    """What reads a file, a folder, or files by the beginning of their names."""
    if format != "auto":
        return "parallel" if format == "parallel" else "lists"
    if path.is_dir():
        if any(path.glob("*.tsv")) or sharded_parts(path):
            return "lists"
        if iwslt.is_raw(path):
            return "iwslt"
        return "parallel" if parallel.is_folder(path) or not sets_in(path) else "lists"
    if parallel.is_beginning(path):
        return "parallel"
    return "parallel" if parallel.has_translation(path) and not _two_sided(path) else "lists"


def is_beginning(path: Path) -> bool:
    """Whether a path is no file, but the beginning of the names of several that belong together."""
    return not path.exists() and (parallel.is_beginning(path) or bool(sets_in(path)))


def in_parts(path: Path) -> bool:
    """Whether a path has three parts, as a folder or by the beginning of their names."""
    return path.is_dir() or (not path.exists() and bool(sets_in(path)))


def has_sentences(path: Path) -> bool:
    """Whether a path seems to hold translations, not a list of words."""
    if layout(path) != "lists":
        return True
    if shards := sharded_parts(path):
        return _two_sided(shards["train"][0], BARS)
    trains = [path] if path.is_file() else [parts["train"] for parts in sets_in(path).values()]
    return any(_two_sided(train, BARS) for train in trains[:1])


# Have most lines a TAB, or three bars?
def _two_sided(path: Path, *marks: str) -> bool:
    try:
        with path.open("rb") as file:
            lines = split_lines(file.read(_MOST_BYTES))
            texts = sampled(lines, len(lines))
    except OSError:
        return False  # its reader says so
    found = sum(any(mark in text for mark in marks or ("\t", BARS)) for text in texts)
    return 2 * found > len(texts)
