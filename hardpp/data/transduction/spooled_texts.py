"""Texts that lie in a file while they are looked at, and numbers of lines beside them.

A bitext of them is like one in memory, but for what it takes: some 40 bytes a pair. Whoever asks for a pair
is given a new one.
"""

import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from hardpp.data.lazily import Mapped
from hardpp.data.lines import Place
from hardpp.data.parts import PARTS, refuse_empty
from hardpp.data.transduction.pairs import Bitext, TextPair
from hardpp.data.transduction.streamed_pairs import StreamedPairs


class Rows(Sequence[int]):
    """Some rows of a table, as numbers."""

    def __init__(self, rows: NDArray[np.int64]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, which: int) -> int: ...
    @overload
    def __getitem__(self, which: slice) -> "Rows": ...
    def __getitem__(self, which: int | slice) -> Any:
        return Rows(self.rows[which]) if isinstance(which, slice) else int(self.rows[which])

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self.rows), 10_000):  # numbers of so many at once
            yield from self.rows[start : start + 10_000].tolist()


class SpooledTexts:
    """Texts of both sides of pairs, in a file, and where they stand.

    Args:
        path: of the file, which is not there yet.
    """

    def __init__(self, path: Path):
        self._path = path
        self._ends = array("q", [0])  # of a source, of its target, and so on
        self._numbers, self._files, self._parts = array("q"), array("i"), array("b")
        self.files: list[tuple[Path, Path]] = []  # of source and target

    def read(self, pairs: StreamedPairs) -> Bitext:
        """The bitext of all pairs, once they are read.

        Raises:
            DataError: as the readers, or a part is empty.
            Unstreamable: as the readers.
        """
        numbered: dict[tuple[Path, Path], int] = {}
        end = 0
        with self._path.open("xb") as file:
            for part, readers in pairs.parts.items():
                for line in (line for read in readers for line in read()):
                    for text in line.pair:
                        content = text.encode()
                        file.write(content)
                        self._ends.append(end := end + len(content))
                    source, target = line.places
                    self._numbers.append(source.number)
                    self._files.append(numbered.setdefault((source.path, target.path), len(numbered)))
                    self._parts.append(PARTS.index(part or pairs.split(line)))
        self.files = list(numbered)
        of = np.frombuffer(self._parts, np.int8)
        rows = {part: np.flatnonzero(of == number) for number, part in enumerate(PARTS)}
        if "" in pairs.parts:
            sizes = {part: len(rows[part]) for part in PARTS}
            refuse_empty(sizes, pairs.whole, "line", "source", pairs.hint)
        with self._path.open("rb") as written:
            texts_of = mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ)

        def pair(row: int) -> TextPair:
            start, middle, stop = self._ends[2 * row : 2 * row + 3]
            return TextPair(texts_of[start:middle].decode(), texts_of[middle:stop].decode())

        texts = {part: Mapped(Rows(rows[part]), pair) for part in PARTS}
        places = {part: Mapped(Rows(rows[part]), self.places) for part in PARTS}
        about = {"sentences": pairs.sentences, "features": pairs.features}
        return Bitext(pairs.name, **texts, places=places, **about)  # type: ignore[arg-type]

    def places(self, row: int) -> tuple[Place, Place]:
        """Where a pair stands."""
        number = self._numbers[row]
        source, target = self.files[self._files[row]]
        return Place(source, number), Place(target, number)
